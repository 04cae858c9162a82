// generate: text from a model, by the trainer program on this machine. The trainer writes
// straight to our standard output (it replaces this process), so text appears as it is made.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/cluster/child_output.h"
#include "cli/cluster/home.h"
#include "cli/screen/documents.h"
#include "cli/verbs/models/model_source.h"
#include "cli/verbs/verbs.h"

namespace llmctl {

struct GenerateArguments {
  std::string model;
  std::string prompt;
  int64_t step = -1;  // -1: the newest checkpoint
  int64_t max_tokens = 200;
  double temperature = 0.8;
};

static Result<int> generate(Context& context, const GenerateArguments& arguments) {
  const ModelSource source = TRY(find_model(context, arguments.model, arguments.step));
  const std::vector<std::string> command = {trainer_program(context.env),
                                            "generate",
                                            source.path,
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
    nlohmann::json document = {{"api_version", kApiVersion},
                               {"checkpoint", source.path},
                               {"prompt", arguments.prompt},
                               {"text", output.text}};
    if (source.job_id > 0) {
      document["id"] = source.job_id;
      document["step"] = source.checkpoint.step;
    }
    context.print(document);
    return kExitOk;
  }
  context.out.flush();
  return Error{Code::internal, replace_process(command), "is this installation complete?"};
}

static VerbAction setup_generate(CLI::App& app) {
  auto arguments = std::make_shared<GenerateArguments>();
  app.add_option("MODEL", arguments->model,
                 "A job, a checkpoint, a Hugging Face directory or a GGUF file")
      ->required();
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
                         "llmctl generate 17 --step 500 --prompt \"def \" --temperature 0\n"
                         "llmctl generate ./my-model --prompt \"Once\"",
                         setup_generate};

}  // namespace llmctl
