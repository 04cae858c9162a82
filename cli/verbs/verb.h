// A verb of the command line: its help and a setup function that declares options and returns what
// to run. One file per family of verbs: about jobs, about the cluster, about models (those hand
// over to the trainer); the table is in verbs.cc. Verbs return an exit code, or an Error that
// run_cli() prints as text or JSON and turns into one.
#pragma once

#include <functional>

#include "cli/shell/context.h"
#include "cli/shell/exit_code.h"

namespace CLI {
class App;
}

namespace llmctl {

using VerbAction = std::function<Result<int>(Context&)>;

struct Verb {
  const char* name;
  const char* group;     // heading in `llmctl help`
  const char* summary;   // one line
  const char* examples;  // shown first in its help, one per line
  VerbAction (*setup)(CLI::App& app);
};

}  // namespace llmctl
