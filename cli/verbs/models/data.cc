// data preview: the first documents of a job file, by the trainer program on this machine, which
// reads them as the job would. The spec goes to it in a file without a name.
#include <sys/mman.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include "cli/cluster/child_output.h"
#include "cli/cluster/home.h"
#include "cli/jobfile/job_file.h"
#include "cli/verbs/verbs.h"

namespace llmctl {

struct DataArguments {
  std::string action, file;
  int64_t documents = 5;
};

static Result<std::string> nameless_file(const std::string& text) {
  const int fd = ::memfd_create("spec", 0);  // stays open when the trainer replaces this process
  const auto size = static_cast<ssize_t>(text.size());
  if (fd < 0 || ::write(fd, text.data(), text.size()) != size) {
    return Error{Code::internal, "cannot hand the job to the trainer", ""};
  }
  return "/proc/self/fd/" + std::to_string(fd);
}

static Result<int> preview_data(Context& context, const DataArguments& arguments) {
  const LoadedJob job = TRY(load_job(arguments.file, {}));
  if (!job.ok()) return Error{Code::invalid_argument, job.text(), ""};
  std::vector<std::string> command = {trainer_program(context.env),
                                      "data",
                                      arguments.action,
                                      TRY(nameless_file(spec_text(job.spec))),
                                      "--documents",
                                      std::to_string(arguments.documents)};
  if (context.json()) command.emplace_back("--json");
  context.out.flush();
  return Error{Code::internal, replace_process(command), "is this installation complete?"};
}

static VerbAction setup_data(CLI::App& app) {
  auto arguments = std::make_shared<DataArguments>();
  app.add_option("ACTION", arguments->action, "preview")
      ->required()
      ->check(CLI::IsMember({"preview"}));
  app.add_option("FILE", arguments->file, "The job file")->required();
  app.add_option("--documents", arguments->documents, "How many to show")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  return [arguments](Context& context) { return preview_data(context, *arguments); };
}

const Verb kDataVerb{"data", "Jobs", "Look at what a job would learn from",
                     "llmctl data preview job.yaml\n"
                     "llmctl data preview job.yaml --documents 50 -o json",
                     setup_data};

}  // namespace llmctl
