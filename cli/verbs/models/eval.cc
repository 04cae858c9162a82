// eval: how well a model predicts a text, by the trainer program on this machine, which replaces
// this process.
#include <CLI/CLI.hpp>

#include "cli/cluster/child_output.h"
#include "cli/cluster/home.h"
#include "cli/verbs/models/model_source.h"
#include "cli/verbs/verbs.h"

namespace llmctl {

struct EvalArguments {
  std::string model, text, device;
  int64_t step = -1;                     // -1: the newest checkpoint
  int64_t sequence_len = 0, stride = 0;  // 0: the trainer decides
};

static Result<int> eval_model(Context& context, const EvalArguments& arguments) {
  const ModelSource source = TRY(find_model(context, arguments.model, arguments.step));
  std::vector<std::string> command = {trainer_program(context.env), "eval", source.path, "--text",
                                      arguments.text};
  const auto add = [&](const char* flag, const std::string& value) {
    command.insert(command.end(), {flag, value});
  };
  if (arguments.sequence_len > 0) add("--sequence-len", std::to_string(arguments.sequence_len));
  if (arguments.stride > 0) add("--stride", std::to_string(arguments.stride));
  if (!arguments.device.empty()) add("--device", arguments.device);
  if (context.json()) command.emplace_back("--json");
  context.out.flush();
  return Error{Code::internal, replace_process(command), "is this installation complete?"};
}

static VerbAction setup_eval(CLI::App& app) {
  auto arguments = std::make_shared<EvalArguments>();
  app.add_option("MODEL", arguments->model,
                 "A job, a checkpoint, a Hugging Face directory or a GGUF file")
      ->required();
  app.add_option("--text", arguments->text, "The text to predict")->required();
  app.add_option("--sequence-len", arguments->sequence_len,
                 "Tokens the model sees at once (default: its own, at most 2048)")
      ->check(CLI::PositiveNumber);
  app.add_option("--stride", arguments->stride,
                 "Tokens from one window to the next (default: no overlap)")
      ->check(CLI::PositiveNumber);
  app.add_option("--step", arguments->step, "Checkpoint of this step (default: the newest)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--device", arguments->device, "cpu (default) | cuda | cuda:N");
  return [arguments](Context& context) { return eval_model(context, *arguments); };
}

const Verb kEvalVerb{
    "eval", "Results", "Loss and perplexity of a model on a text",
    "llmctl eval last --text held-out.txt\n"
    "llmctl eval my-model --text wiki.txt --sequence-len 1024 --stride 512 -o json",
    setup_eval};

}  // namespace llmctl
