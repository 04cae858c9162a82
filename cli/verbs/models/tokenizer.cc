// tokenizer: learn one, or turn text into ids and back, by the trainer program on this machine. It
// replaces this process, so standard input and output are its own.
#include <CLI/CLI.hpp>

#include "cli/cluster/child_output.h"
#include "cli/cluster/home.h"
#include "cli/verbs/verbs.h"

namespace llmctl {

struct TokenizerArguments {
  std::string action, tokenizer, output, field;
  std::vector<std::string> files, special;
  int64_t vocab_size = 0;
  bool lines = false;
};

static Result<int> run_tokenizer(Context& context, const TokenizerArguments& arguments) {
  const bool train = arguments.action == "train";
  if (train ? arguments.output.empty() : arguments.tokenizer.empty()) {
    return Error{Code::invalid_argument,
                 "tokenizer " + arguments.action + ": " +
                     (train ? "-o FILE is missing" : "--tokenizer FILE is missing"),
                 "`llmctl tokenizer --help` shows examples"};
  }
  std::vector<std::string> command = {trainer_program(context.env), "tokenizer", arguments.action};
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) command.insert(command.end(), {flag, value});
  };
  add("--tokenizer", arguments.tokenizer);
  add("--field", arguments.field);
  if (train) add("-o", arguments.output);
  if (train) add("--vocab-size", std::to_string(arguments.vocab_size));
  for (const std::string& token : arguments.special) add("--special", token);
  if (arguments.lines) command.emplace_back("--lines");
  command.insert(command.end(), arguments.files.begin(), arguments.files.end());
  context.out.flush();
  return Error{Code::internal, replace_process(command), "is this installation complete?"};
}

static VerbAction setup_tokenizer(CLI::App& app) {
  auto arguments = std::make_shared<TokenizerArguments>();
  app.add_option("ACTION", arguments->action, "train | encode | decode")
      ->required()
      ->check(CLI::IsMember({"train", "encode", "decode"}));
  app.add_option("FILES", arguments->files, "Text or JSONL to learn from; else standard input");
  app.add_option("--tokenizer", arguments->tokenizer, "A tokenizer.json, or bytes");
  app.add_flag("--lines", arguments->lines, "Each line is a text: one array of ids per line");
  app.add_option("--vocab-size", arguments->vocab_size, "train: bytes, merges and special tokens");
  app.add_option("--special", arguments->special, "train: a token such as <think>; repeatable")
      ->allow_extra_args(false);
  app.add_option("--field", arguments->field, "train: the JSONL field that holds the text");
  // Here -o also names the file that training writes. Ids are JSON in any case.
  app.remove_option(app.get_option("--output"));
  app.add_option("-o,--output", arguments->output, "train: the file to write; encode: json");
  return [arguments](Context& context) { return run_tokenizer(context, *arguments); };
}

const Verb kTokenizerVerb{
    "tokenizer", "Results", "Learn a tokenizer; text to token ids and back",
    "llmctl tokenizer train --vocab-size 8000 data/*.txt -o tokenizer.json\n"
    "llmctl tokenizer encode --tokenizer tokenizer.json --lines -o json < text.txt > ids.jsonl\n"
    "llmctl tokenizer decode --tokenizer tokenizer.json --lines < ids.jsonl",
    setup_tokenizer};

}  // namespace llmctl
