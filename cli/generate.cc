// generate: text from a checkpoint, by the trainer program on this machine. The trainer writes
// straight to our standard output (it replaces this process), so text appears as it is made.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/child_output.h"
#include "cli/documents.h"
#include "cli/home.h"
#include "cli/selector.h"
#include "cli/verbs.h"

namespace llmctl {

struct GenerateArguments {
  std::string id;
  std::string prompt;
  int64_t step = -1;  // -1: the newest checkpoint
  int64_t max_tokens = 200;
  double temperature = 0.8;
};

static Result<CheckpointCommitted> choose(const JobView& job, int64_t step) {
  if (job.checkpoints.empty()) {
    return Error{Code::failed_precondition,
                 "job " + std::to_string(job.id) + " has no committed checkpoint yet",
                 "`llmctl watch " + std::to_string(job.id) + "` shows how far it is"};
  }
  if (step < 0) return job.checkpoints.back().commit;
  for (const CheckpointView& checkpoint : job.checkpoints) {
    if (checkpoint.commit.step == step) return checkpoint.commit;
  }
  return Error{
      Code::not_found,
      "job " + std::to_string(job.id) + " has no checkpoint of step " + std::to_string(step),
      "`llmctl checkpoints " + std::to_string(job.id) + "` lists them"};
}

static Result<int> generate(Context& context, const GenerateArguments& arguments) {
  Client client = TRY(connect(context.env));
  const JobId id = TRY(resolve_job(client, arguments.id));
  const JobView job = TRY(client.get(id));
  const CheckpointCommitted checkpoint = TRY(choose(job, arguments.step));
  const std::string path = checkpoint_path(local_jobs_dir(context.env), id.value, checkpoint.path);
  if (!std::filesystem::is_directory(path)) {
    return Error{Code::not_found, "checkpoint " + path + " is not on this machine",
                 "run it on a worker: llmctl-trainer generate DIR --prompt \"...\""};
  }
  const std::vector<std::string> command = {trainer_program(context.env),
                                            "generate",
                                            path,
                                            "--prompt",
                                            arguments.prompt,
                                            "--max-tokens",
                                            std::to_string(arguments.max_tokens),
                                            "--temperature",
                                            std::to_string(arguments.temperature)};
  if (context.json()) {
    const ChildOutput output = TRY(run_child(command));
    if (output.exit_code != 0) {
      return Error{Code::internal, "the trainer could not generate: " + output.error_text, ""};
    }
    context.print({{"api_version", kApiVersion},
                   {"id", id.value},
                   {"step", checkpoint.step},
                   {"checkpoint", path},
                   {"prompt", arguments.prompt},
                   {"text", output.text}});
    return kExitOk;
  }
  context.out.flush();
  return Error{Code::internal, replace_process(command), "is this installation complete?"};
}

static Run setup_generate(CLI::App& app) {
  auto arguments = std::make_shared<GenerateArguments>();
  app.add_option("ID", arguments->id, "The job")->required();
  app.add_option("--prompt", arguments->prompt, "Text to continue")->required();
  app.add_option("--step", arguments->step, "Checkpoint of this step (default: the newest)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--max-tokens", arguments->max_tokens, "At most this many tokens")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--temperature", arguments->temperature, "0: always the likeliest token")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  return [arguments](Context& context) { return generate(context, *arguments); };
}

const Verb kGenerateVerb{"generate", "Results", "Continue a prompt with a job's model",
                         "llmctl generate last --prompt \"Once upon a time\"\n"
                         "llmctl generate 17 --step 500 --prompt \"def \" --temperature 0",
                         setup_generate};

}  // namespace llmctl
