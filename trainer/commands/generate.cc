#include "trainer/commands/generate.h"

#include <algorithm>
#include <filesystem>
#include <ostream>

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/job_folder.h"
#include "trainer/commands/command_line.h"
#include "trainer/device/device.h"
#include "trainer/inference/generate.h"
#include "trainer/model/load_model.h"
#include "trainer/run/config_file.h"
#include "trainer/stored/end_tokens.h"
#include "trainer/stored/stored_model.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGenerateUsage =
    "usage: llmctl-trainer generate CONFIG.json|SRC --prompt TEXT [--max-tokens N]\n"
    "                               [--temperature T] [--top-p P] [--seed N]\n"
    "                               [--device cpu|cuda|cuda:N]\n";
constexpr int64_t kContextLen = 4'096;  // memory of keys and values; long models have 128k

struct GenerateCommand {
  fs::path from;
  std::string device = "cpu";
  GenerateOptions options;
};

Result<GenerateCommand> parse_generate(const std::vector<std::string>& args) {
  GenerateCommand command;
  GenerateOptions& options = command.options;
  const auto operands =
      TRY(read_arguments(args, {.values = {{"--prompt", into(options.prompt)},
                                           {"--device", into(command.device)},
                                           {"--max-tokens", amount_into(options.max_tokens)},
                                           {"--temperature", amount_into(options.temperature)},
                                           {"--top-p", amount_into(options.top_p)},
                                           {"--seed", amount_into(options.seed)}}}));
  if (operands.empty()) return invalid("expected a checkpoint directory or a config.json");
  if (operands.size() > 1) return invalid("more than one source: " + operands[1]);
  command.from = operands[0];
  return command;
}

// A run's config.json stands for its newest checkpoint.
Result<StoredModel> open_source(const fs::path& from) {
  if (fs::is_directory(from) || from.extension() != ".json") return open_stored_model(from);
  const RunConfig config = TRY(read_run_config(from));
  FoundCheckpoint found = newest_readable(list_checkpoints(checkpoints_of(config.job_dir)));
  if (!found.checkpoint) {
    return Error{Code::not_found, config.job_dir + ": has no checkpoint that can be read", ""};
  }
  return open_stored_model(found.checkpoint->path);
}

Status run_generate(const std::vector<std::string>& args, std::ostream& out) {
  GenerateCommand command = TRY(parse_generate(args));
  const StoredModel stored = TRY(open_source(command.from));
  const Tokenizer tokenizer = TRY(stored.tokenizer());
  const int64_t context = std::min(stored.context_len(), kContextLen);
  const Model model =
      TRY(load_reader(stored, tokenizer, context, TRY(open_device(command.device))));
  command.options.ends = end_tokens(stored, tokenizer);
  TRY(generate(model, tokenizer, command.options,
               [&](std::string_view text) { out << text << std::flush; }));
  out << '\n';
  return ok_status();
}

}  // namespace

int generate_command(const std::vector<std::string>& args, std::ostream& out) {
  return run_command(args, kGenerateUsage, out, [&] { return run_generate(args, out); });
}

}  // namespace llmctl
