#include "trainer/commands/eval.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <ostream>

#include "core/base/json_reader.h"
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

Status read_count(const std::string& flag, const std::string& text, int64_t& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && stop == end && value >= 1) return ok_status();
  return invalid(flag + ": expected a number above 0, got \"" + text + "\"");
}

Status read_eval_flag(const std::string& flag, const std::string& value, EvalCommand& command) {
  if (flag == "--text") {
    command.text = value;
  } else if (flag == "--device") {
    command.device = value;
  } else if (flag == "--sequence-len") {
    TRY(read_count(flag, value, command.sequence_len));
  } else if (flag == "--stride") {
    TRY(read_count(flag, value, command.stride));
  } else {
    return invalid("unknown option " + flag);
  }
  return ok_status();
}

Result<EvalCommand> parse_eval(const std::vector<std::string>& args) {
  EvalCommand command;
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == "--json") {
      command.json = true;
    } else if (!args[i].starts_with("--")) {
      if (!command.from.empty()) return invalid("more than one model: " + args[i]);
      command.from = args[i];
    } else if (i + 1 == args.size()) {
      return invalid(args[i] + ": its value is missing");
    } else {
      TRY(read_eval_flag(args[i], args[i + 1], command));
      ++i;
    }
  }
  if (command.from.empty()) return invalid("expected a model");
  if (command.text.empty()) return invalid("--text FILE is missing");
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

void tell(const TextScore& score, bool json, std::ostream& out) {
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
  ModelOptions options;
  options.sequence_len = command.sequence_len;
  options.device = TRY(open_device(command.device));
  Model model = TRY(load_model(stored, tokenizer, options));
  const auto score = score_text(model, tokenizer, as_text(text->bytes()), command.stride);
  if (!score.ok()) return invalid(command.text.string() + ": " + score.error().message);
  tell(*score, command.json, out);
  return ok_status();
}

}  // namespace

int eval_command(const std::vector<std::string>& args, std::ostream& out) {
  Status done = ok_status();
  try {
    done = run_eval(args, out);
  } catch (const std::exception& e) {  // LibTorch's
    done = Error{Code::internal, e.what(), ""};
  }
  out.flush();
  if (done.ok() && out.good()) return 0;
  std::fprintf(stderr, "%s\n", done.ok() ? "cannot write" : done.error().message.c_str());
  if (args.empty()) std::fputs(kEvalUsage, stderr);
  return done.ok() ? 1 : 2;
}

}  // namespace llmctl
