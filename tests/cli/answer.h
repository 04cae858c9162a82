// One call of llmctl inside the test's own process, and what it gave.
#pragma once

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "cli/app/command_line.h"

namespace llmctl {

struct Answer {
  int code = 0;
  std::string out, err;
  nlohmann::json document() const { return nlohmann::json::parse(out, nullptr, false); }
};

inline Answer run_llmctl(const Environment& env, const std::vector<std::string>& arguments) {
  std::ostringstream out, err;
  const SystemClock clock;
  Context context{env, OutputFormat::table, out, err, {}, {}, clock};
  const int code = run_cli(arguments, context);
  return {code, out.str(), err.str()};
}

}  // namespace llmctl
