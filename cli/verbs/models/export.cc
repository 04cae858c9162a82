// export and convert: a model into a directory for Transformers or a GGUF file, by the trainer
// program on this machine, which replaces this process.
#include <CLI/CLI.hpp>

#include "cli/cluster/child_output.h"
#include "cli/cluster/home.h"
#include "cli/verbs/models/model_source.h"
#include "cli/verbs/verbs.h"

namespace llmctl {

struct ExportArguments {
  std::string from, to, format, dtype, max_shard_size;
  int64_t step = -1;  // -1: the newest checkpoint
};

static Result<int> write_model(Context& context,
                               const ExportArguments& arguments,
                               const std::string& source) {
  std::vector<std::string> command = {trainer_program(context.env), "convert", source,
                                      arguments.to};
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) command.insert(command.end(), {flag, value});
  };
  add("--format", arguments.format);
  add("--dtype", arguments.dtype);
  add("--max-shard-size", arguments.max_shard_size);
  if (context.json()) command.emplace_back("--json");
  context.out.flush();
  return Error{Code::internal, replace_process(command), "is this installation complete?"};
}

static void add_form_options(CLI::App& app, ExportArguments& arguments) {
  app.add_option("--format", arguments.format,
                 "hf | gguf (default: gguf when the name ends in .gguf)")
      ->check(CLI::IsMember({"hf", "gguf"}));
  app.add_option("--dtype", arguments.dtype,
                 "fp32 (default) | bf16 | fp16; gguf also q8_0 | q6_k | q5_0 | q4_k | q4_0")
      ->check(CLI::IsMember({"fp32", "bf16", "fp16", "q8_0", "q6_k", "q5_0", "q4_k", "q4_0"}));
  app.add_option("--max-shard-size", arguments.max_shard_size,
                 "hf: weights in files of at most this size, e.g. 5GB (the default)");
}

static VerbAction setup_export(CLI::App& app) {
  auto arguments = std::make_shared<ExportArguments>();
  app.add_option("MODEL", arguments->from, "A job, or a checkpoint's directory")->required();
  app.add_option("TO", arguments->to, "The new directory, or file.gguf")->required();
  app.add_option("--step", arguments->step, "Checkpoint of this step (default: the newest)")
      ->check(CLI::NonNegativeNumber);
  add_form_options(app, *arguments);
  return [arguments](Context& context) -> Result<int> {
    const ModelSource source = TRY(find_model(context, arguments->from, arguments->step));
    return write_model(context, *arguments, source.path);
  };
}

static VerbAction setup_convert(CLI::App& app) {
  auto arguments = std::make_shared<ExportArguments>();
  app.add_option("FROM", arguments->from, "A checkpoint, a Hugging Face directory or a GGUF file")
      ->required();
  app.add_option("TO", arguments->to, "The new directory, or file.gguf")->required();
  add_form_options(app, *arguments);
  return [arguments](Context& context) -> Result<int> {
    return write_model(context, *arguments, arguments->from);
  };
}

const Verb kExportVerb{"export", "Results", "A job's model for Transformers or llama.cpp",
                       "llmctl export last my-model\n"
                       "llmctl export 17 my-model --step 500 --dtype bf16\n"
                       "llmctl export 17 my-model.gguf --dtype q4_k",
                       setup_export};

const Verb kConvertVerb{"convert", "Results", "A model on disk into another form",
                        "llmctl convert my-model my-model.gguf --dtype q8_0\n"
                        "llmctl convert my-model.gguf my-model-again\n"
                        "llmctl convert downloaded-model half --dtype bf16 --max-shard-size 2GB",
                        setup_convert};

}  // namespace llmctl
