// What a verb gets: its surroundings, where to write, how. Data goes to `out`, everything said to
// people while it happens to `err`, so `llmctl ls -o json | jq` is always clean.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <ostream>

#include "cli/shell/environment.h"
#include "cli/shell/terminal.h"
#include "core/base/clock.h"

namespace llmctl {

enum class OutputFormat { table, one_json };

struct Context {
  Environment env;
  OutputFormat format = OutputFormat::table;
  std::ostream& out;
  std::ostream& err;
  Terminal out_terminal, err_terminal;
  const Clock& clock;

  bool json() const { return format == OutputFormat::one_json; }
  void print(const nlohmann::json& document) const;  // one document, with its "api_version"
};

}  // namespace llmctl
