#include "trainer/commands/generate_command.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/run/run_config.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/job_folder.h"
#include "trainer/device/device.h"
#include "trainer/inference/generate.h"
#include "trainer/model/load_model.h"
#include "trainer/stored/stored_model.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kContextLen = 4'096;  // memory of keys and values; long models have 128k

struct GenerateCommand {
  fs::path from;
  std::string device = "cpu";
  GenerateOptions options;
};

template <class Number>
Status read_number(const std::string& flag, const std::string& text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= 0) return ok_status();
  return invalid(flag + ": expected a number that is not negative, got \"" + text + "\"");
}

Result<GenerateCommand> parse_generate(const std::vector<std::string>& args) {
  GenerateCommand command;
  GenerateOptions& o = command.options;
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i].rfind("--", 0) != 0) {
      if (!command.from.empty()) return invalid("more than one source: " + args[i]);
      command.from = args[i];
      continue;
    }
    const std::string& flag = args[i];
    if (++i == args.size()) return invalid(flag + ": its value is missing");
    if (flag == "--prompt") {
      o.prompt = args[i];
    } else if (flag == "--device") {
      command.device = args[i];
    } else if (flag == "--max-tokens") {
      TRY(read_number(flag, args[i], o.max_tokens));
    } else if (flag == "--temperature") {
      TRY(read_number(flag, args[i], o.temperature));
    } else if (flag == "--top-p") {
      TRY(read_number(flag, args[i], o.top_p));
    } else if (flag == "--seed") {
      TRY(read_number(flag, args[i], o.seed));
    } else {
      return invalid("unknown option " + flag);
    }
  }
  if (command.from.empty()) return invalid("expected a checkpoint directory or a config.json");
  return command;
}

// A run's config.json stands for its newest checkpoint.
Result<StoredModel> open_source(const fs::path& from) {
  if (fs::is_directory(from) || from.extension() != ".json") return open_stored_model(from);
  std::ifstream in(from, std::ios::binary);
  if (!in) return Error{Code::not_found, from.string() + ": cannot be read", ""};
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const RunConfig config = TRY(parse_run_config(text));
  FoundCheckpoint found = newest_readable(list_checkpoints(checkpoints_of(config.job_dir)));
  if (!found.checkpoint) {
    return Error{Code::not_found, config.job_dir + ": has no checkpoint that can be read", ""};
  }
  return open_stored_model(found.checkpoint->path);
}

Status run_generate(const std::vector<std::string>& args) {
  const GenerateCommand command = TRY(parse_generate(args));
  const StoredModel stored = TRY(open_source(command.from));
  const Tokenizer tokenizer = TRY(stored.tokenizer());
  ModelOptions options;
  options.sequence_len = std::min(stored.context_len(), kContextLen);
  options.device = TRY(open_device(command.device));
  Model model = TRY(load_model(stored, tokenizer, options));
  TRY(generate(model, tokenizer, command.options, [](std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }));
  std::fputc('\n', stdout);
  return ok_status();
}

}  // namespace

int generate_command(const std::vector<std::string>& args) {
  std::string problem;
  try {
    const Status status = run_generate(args);
    if (status.ok()) return 0;
    problem = status.error().message;
  } catch (const std::exception& e) {  // LibTorch's
    problem = e.what();
  }
  std::fprintf(stderr, "llmctl-trainer generate: %s\n", problem.c_str());
  return 2;
}

}  // namespace llmctl
