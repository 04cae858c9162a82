// The command line as a whole: parses, runs one verb, prints its error, gives the exit code.
// main() is a call of run_cli; tests call it with their own streams.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/verbs/verb.h"

namespace llmctl {

// The parser with every verb declared; `chosen` is filled when a verb is parsed.
struct CommandLine {
  std::shared_ptr<CLI::App> app;
  std::shared_ptr<VerbAction> chosen;       // empty until a verb was parsed
  std::shared_ptr<std::string> output;      // -o
  std::shared_ptr<Environment> connection;  // --server, --tls-ca, --token-file
};
CommandLine make_command_line();

int run_cli(const std::vector<std::string>& arguments, Context& context);

}  // namespace llmctl
