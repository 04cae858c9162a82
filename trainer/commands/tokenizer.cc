#include "trainer/commands/tokenizer.h"

#include <algorithm>
#include <cstdio>
#include <istream>
#include <nlohmann/json.hpp>
#include <ostream>
#include <span>

#include "core/base/limits.h"
#include "trainer/commands/command_line.h"
#include "trainer/data/cache/token_pipeline.h"
#include "trainer/data/sources/dataset.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/mapped_file.h"

namespace llmctl {
namespace {

constexpr const char* kTokenizerUsage =
    "usage: llmctl-trainer tokenizer train --vocab-size N [--special TOKEN]... [--field NAME]\n"
    "                                      -o tokenizer.json FILE...\n"
    "       llmctl-trainer tokenizer encode --tokenizer FILE|bytes [--lines] [FILE...]\n"
    "       llmctl-trainer tokenizer decode --tokenizer FILE|bytes [--lines] [FILE...]\n";
constexpr size_t kInputPart = 1 << 20;

struct TokenizerCommand {
  std::string verb, tokenizer, output, field = "text";
  std::vector<std::string> special, files;
  int64_t vocab_size = 0;
  bool lines = false;
};

Result<TokenizerCommand> parse_tokenizer(const std::vector<std::string>& args) {
  if (args.empty()) return invalid("expected train, encode or decode");
  TokenizerCommand command;
  command.verb = args[0];
  const auto add_special = [&](const std::string&, const std::string& token) {
    command.special.push_back(token);
    return ok_status();
  };
  command.files = TRY(read_arguments(std::span(args).subspan(1),
                                     {.values = {{"--tokenizer", into(command.tokenizer)},
                                                 {"--special", add_special},
                                                 {"--field", into(command.field)},
                                                 {"-o", into(command.output)},
                                                 {"--vocab-size", count_into(command.vocab_size)}},
                                      .switches = {{"--lines", &command.lines}}}));
  return command;
}

// Whole texts or lines without their line ends, whichever is asked for.
template <class Take>
Status for_each_text(const TokenizerCommand& command, std::istream& in, const Take& take) {
  if (!command.files.empty()) {
    for (const std::string& name : command.files) {
      const auto file = TRY(MappedFile::open(name));
      std::string_view text = as_text(file->bytes());
      while (command.lines && !text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        TRY(take(text.substr(0, end)));
        text.remove_prefix(std::min(end + 1, text.size()));
      }
      if (!command.lines) TRY(take(text));
    }
    return ok_status();
  }
  std::string text;
  if (command.lines) {
    while (std::getline(in, text)) TRY(take(std::string_view(text)));
    return ok_status();
  }
  for (std::string part(kInputPart, '\0'); in.read(part.data(), kInputPart), in.gcount() > 0;) {
    text.append(part, 0, static_cast<size_t>(in.gcount()));
  }
  return take(std::string_view(text));
}

void write_ids(std::ostream& out, std::span<const int32_t> ids) {
  std::string line = "[";
  for (const int32_t id : ids) line += (line.size() > 1 ? "," : "") + std::to_string(id);
  out << line << "]\n";
}

Status encode(const TokenizerCommand& command,
              const Tokenizer& tokenizer,
              std::istream& in,
              std::ostream& out) {
  if (!command.lines) {
    return for_each_text(command, in, [&](std::string_view text) -> Status {
      write_ids(out, TRY(tokenizer.encode(text)));
      return ok_status();
    });
  }
  std::vector<int32_t> line;
  const auto write = [&](const TokenPipeline::Stretch& stretch) {
    line.insert(line.end(), stretch.ids.begin(), stretch.ids.end());
    if (!stretch.ends_document) return ok_status();
    write_ids(out, line);
    line.clear();
    return ok_status();
  };
  TokenPipeline pipeline(tokenizer, nullptr, usable_threads(0), write);
  TRY(for_each_text(command, in, [&](std::string_view text) { return pipeline.add(text); }));
  return pipeline.finish();
}

Status decode(const TokenizerCommand& command,
              const Tokenizer& tokenizer,
              std::istream& in,
              std::ostream& out) {
  int64_t number = 0;
  return for_each_text(command, in, [&](std::string_view text) -> Status {
    ++number;
    const auto list = nlohmann::json::parse(text, nullptr, false);
    std::vector<int32_t> ids;
    for (const auto& id : list) {
      if (list.is_array() && id.is_number_integer()) ids.push_back(id.get<int32_t>());
    }
    if (!list.is_array() || ids.size() != list.size()) {
      return invalid("line " + std::to_string(number) + ": expected an array of whole numbers");
    }
    out << tokenizer.decode(ids);
    if (command.lines) out << '\n';
    return ok_status();
  });
}

Status train(const TokenizerCommand& command) {
  if (command.output.empty() || command.files.empty()) {
    return invalid("expected -o tokenizer.json and the files to learn from");
  }
  std::vector<DatasetSpec> datasets;
  for (const std::string& file : command.files) datasets.push_back({file, "auto", command.field});
  BpeTrainer trainer(0);
  for (const SourceFile& source : TRY(list_sources(datasets))) {
    TRY(for_each_document(source, [&](std::string_view text) { return trainer.add(text); }));
  }
  const auto phase = [](const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); };
  const Tokenizer tokenizer = TRY(trainer.train(command.vocab_size, phase, command.special));
  TRY(tokenizer.save(command.output));
  std::fprintf(stderr, "%s: %lld tokens\n", command.output.c_str(),
               static_cast<long long>(tokenizer.vocab_size()));
  return ok_status();
}

Status run_tokenizer(const std::vector<std::string>& args, std::istream& in, std::ostream& out) {
  const TokenizerCommand command = TRY(parse_tokenizer(args));
  if (command.verb == "train") return train(command);
  if (command.verb != "encode" && command.verb != "decode") {
    return invalid("expected train, encode or decode, got " + command.verb);
  }
  if (command.tokenizer.empty()) return invalid("--tokenizer is missing");
  const Tokenizer tokenizer =
      command.tokenizer == "bytes" ? Tokenizer::bytes() : TRY(Tokenizer::load(command.tokenizer));
  return command.verb == "encode" ? encode(command, tokenizer, in, out)
                                  : decode(command, tokenizer, in, out);
}

}  // namespace

int tokenizer_command(const std::vector<std::string>& args, std::istream& in, std::ostream& out) {
  return run_command(args, kTokenizerUsage, out, [&] { return run_tokenizer(args, in, out); });
}

}  // namespace llmctl
