#include "trainer/commands/data.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <span>

#include "core/base/json_reader.h"
#include "core/base/limits.h"
#include "core/base/read_small_file.h"
#include "core/base/utf8.h"
#include "trainer/commands/command_line.h"
#include "trainer/data/chat/format.h"
#include "trainer/data/sources/dataset.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {
namespace {

constexpr const char* kDataUsage =
    "usage: llmctl-trainer data preview SPEC.json [--documents N] [--json]\n";
constexpr size_t kShownBytes = 200;  // of a document

struct Preview {
  std::string spec_file;
  int64_t documents = 5;
  bool json = false;
};

Result<Preview> parse_preview(const std::vector<std::string>& args) {
  if (args.empty() || args[0] != "preview") return invalid("expected preview SPEC.json");
  Preview preview;
  const auto operands = TRY(read_arguments(
      std::span(args).subspan(1), {.values = {{"--documents", count_into(preview.documents)}},
                                   .switches = {{"--json", &preview.json}}}));
  if (operands.size() != 1) return invalid("expected one SPEC.json");
  preview.spec_file = operands[0];
  return preview;
}

std::string beginning(std::string_view text) {
  size_t end = 0;
  for (size_t n = 1; end < text.size() && end < kShownBytes; end += n) {
    n = utf8_length(text.substr(end));
    if (n == 0) break;
  }
  return std::string(text.substr(0, end)) + (end < text.size() ? "…" : "");
}

Status show_text(const SourceFile& source,
                 std::string_view text,
                 const Tokenizer& tokenizer,
                 bool as_json,
                 std::ostream& out) {
  const auto ids = TRY(tokenizer.encode(text));
  const nlohmann::json start = beginning(text);
  if (as_json) {
    out << dump_json({{"file", source.path.string()},
                      {"bytes", text.size()},
                      {"tokens", ids.size()},
                      {"text", start}})
        << '\n';
  } else {
    out << source.path.filename().string() << "  " << text.size() << " bytes  " << ids.size()
        << " tokens  " << start.dump() << '\n';
  }
  return ok_status();
}

// What a terminal would take for a command is shown as '?'.
std::string harmless(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') c = '?';
    if (c == 0x7f) c = '?';
  }
  return text;
}

// The text of a chat in parts that are learned and parts that are not.
nlohmann::json parts_of(const FormattedChat& chat) {
  nlohmann::json parts = nlohmann::json::array();
  const auto add = [&](size_t begin, size_t end, bool learned) {
    if (begin == end) return;
    parts.push_back({{"text", chat.text.substr(begin, end - begin)}, {"learned", learned}});
  };
  size_t at = 0;
  for (const auto& span : chat.learned) {
    add(at, span.begin, false);
    add(span.begin, span.end, true);
    at = span.end;
  }
  add(at, chat.text.size(), false);
  return parts;
}

// One record as the job would learn it; what is learned stands in ⟦ ⟧.
Status show_chat(const SourceFile& source,
                 int64_t line,
                 std::string_view record,
                 const ChatFormat& format,
                 const Tokenizer& tokenizer,
                 bool as_json,
                 std::ostream& out) {
  const FormattedChat chat = TRY(format.format(record, *source.chat));
  Encoder encoder(tokenizer);
  std::vector<int32_t> ids;
  std::vector<uint8_t> learned;
  TRY(format.encode(record, *source.chat, tokenizer, encoder, ids, learned));
  const auto count = std::count(learned.begin(), learned.end(), 1);
  const nlohmann::json parts = parts_of(chat);
  if (as_json) {
    out << dump_json({{"file", source.path.string()},
                      {"line", line},
                      {"tokens", ids.size()},
                      {"learned_tokens", count},
                      {"parts", parts}})
        << '\n';
    return ok_status();
  }
  out << source.path.filename().string() << ':' << line << "  " << ids.size() << " tokens, "
      << count << " learned\n";
  for (const auto& part : parts) {
    const std::string text = harmless(part["text"].get<std::string>());
    out << (part["learned"].get<bool>() ? "⟦" + text + "⟧" : text);
  }
  out << "\n\n";
  return ok_status();
}

// Shows the documents of one file.
Status show_documents(const SourceFile& source,
                      const std::optional<ChatFormat>& format,
                      const Tokenizer& tokenizer,
                      bool as_json,
                      const std::function<Status()>& shown,
                      std::ostream& out) {
  if (!format) {
    return for_each_document(source, [&](std::string_view text) -> Status {
      TRY(show_text(source, text, tokenizer, as_json, out));
      return shown();
    });
  }
  return for_each_record(source, [&](std::string_view record, int64_t line) -> Status {
    const Status done = show_chat(source, line, record, *format, tokenizer, as_json, out);
    if (done.ok()) return shown();
    return Error{done.error().code, at_line(source.path.string(), line, done.error().message),
                 done.error().hint};
  });
}

Status run_preview(const std::vector<std::string>& args, std::ostream& out) {
  const Preview preview = TRY(parse_preview(args));
  const std::string text = TRY(read_small_file(preview.spec_file, limits::kJobFileBytes));
  const JobSpec spec = TRY(parse_spec_json(text));
  const auto sources = TRY(list_sources(spec.datasets, spec.method));
  std::optional<ChatFormat> format;
  if (spec.method == "sft") format = TRY(ChatFormat::open(spec));
  // A tokenizer that is still to be learned has no ids yet; bytes are what it starts from.
  const Tokenizer tokenizer = spec.tokenizer.kind == TokenizerSpec::Kind::file
                                  ? TRY(Tokenizer::load(spec.tokenizer.path))
                                  : Tokenizer::bytes();
  if (!preview.json) {
    out << sources.size() << (sources.size() == 1 ? " file" : " files") << ", tokens of "
        << (spec.tokenizer.kind == TokenizerSpec::Kind::file ? spec.tokenizer.path : "bytes")
        << (format ? "; what is learned stands in ⟦ ⟧:\n" : "; the first documents:\n");
  }
  int64_t left = preview.documents;
  for (const SourceFile& source : sources) {
    const auto shown = [&]() -> Status {
      if (--left == 0) return Error{Code::canceled, "enough", ""};
      return ok_status();
    };
    Status walked = show_documents(source, format, tokenizer, preview.json, shown, out);
    if (left == 0) return ok_status();
    if (!walked.ok()) return walked;
  }
  return ok_status();
}

}  // namespace

int data_command(const std::vector<std::string>& args, std::ostream& out) {
  return run_command(args, kDataUsage, out, [&] { return run_preview(args, out); });
}

}  // namespace llmctl
