#include "trainer/commands/eval.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <ostream>

#include "core/base/json_reader.h"
#include "trainer/commands/command_line.h"
#include "trainer/device/device.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/mapped_file.h"
#include "trainer/inference/perplexity.h"
#include "trainer/model/load_model.h"
#include "trainer/stored/stored_model.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEvalUsage =
    "usage: llmctl-trainer eval SRC --text FILE [--sequence-len N] [--stride N] [--json]\n"
    "                           [--device cpu|cuda|cuda:N]\n";
constexpr int64_t kDefaultLen = 2'048;  // for a model that could look back further

struct EvalCommand {
  fs::path from, text;
  std::string device = "cpu";
  int64_t sequence_len = 0, stride = 0;  // 0: the model's; the sequence_len
  bool json = false;
};

Result<EvalCommand> parse_eval(const std::vector<std::string>& args) {
  EvalCommand command;
  const auto operands =
      TRY(read_arguments(args, {.values = {{"--text", into(command.text)},
                                           {"--device", into(command.device)},
                                           {"--sequence-len", count_into(command.sequence_len)},
                                           {"--stride", count_into(command.stride)}},
                                .switches = {{"--json", &command.json}}}));
  if (operands.empty()) return invalid("expected a model");
  if (operands.size() > 1) return invalid("more than one model: " + operands[1]);
  if (command.text.empty()) return invalid("--text FILE is missing");
  command.from = operands[0];
  return command;
}

// Fills in what was not given, and checks it against the model.
Status settle_windows(const StoredModel& model, EvalCommand& command) {
  const int64_t most = model.config.max_position_embeddings;
  if (command.sequence_len == 0) command.sequence_len = std::min(model.context_len(), kDefaultLen);
  if (command.sequence_len > most) {
    return invalid("--sequence-len: the model looks at no more than " + std::to_string(most) +
                   " tokens, got " + std::to_string(command.sequence_len));
  }
  if (command.stride == 0) command.stride = command.sequence_len;
  if (command.stride > command.sequence_len) {
    return invalid("--stride: expected at most the sequence length " +
                   std::to_string(command.sequence_len) + ", got " +
                   std::to_string(command.stride));
  }
  return ok_status();
}

void print_score(const TextScore& score, bool json, std::ostream& out) {
  if (json) {
    out << dump_json({{"tokens", score.tokens},
                      {"loss", score.loss},
                      {"perplexity", score.perplexity},
                      {"bits_per_byte", score.bits_per_byte}})
        << '\n';
    return;
  }
  char text[200];
  std::snprintf(text, sizeof text,
                "tokens         %lld\nloss           %.4f nats per token\n"
                "perplexity     %.4f\nbits per byte  %.4f\n",
                static_cast<long long>(score.tokens), score.loss, score.perplexity,
                score.bits_per_byte);
  out << text;
}

Status run_eval(const std::vector<std::string>& args, std::ostream& out) {
  EvalCommand command = TRY(parse_eval(args));
  const StoredModel stored = TRY(open_stored_model(command.from));
  const auto text = TRY(MappedFile::open(command.text));
  const Tokenizer tokenizer = TRY(stored.tokenizer());
  TRY(settle_windows(stored, command));
  const at::Device device = TRY(open_device(command.device));
  Model model = TRY(load_reader(stored, tokenizer, command.sequence_len, device));
  const auto score = score_text(model, tokenizer, as_text(text->bytes()), command.stride);
  if (!score.ok()) return invalid(command.text.string() + ": " + score.error().message);
  print_score(*score, command.json, out);
  return ok_status();
}

}  // namespace

int eval_command(const std::vector<std::string>& args, std::ostream& out) {
  return run_command(args, kEvalUsage, out, [&] { return run_eval(args, out); });
}

}  // namespace llmctl
