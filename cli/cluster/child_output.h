// Running another program of the installation: to its end, keeping what it wrote, or in our place.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"

namespace llmctl {

struct ChildOutput {
  int exit_code = 0;  // 128 + N when signal N ended it
  std::string text;
  std::string error_text;
};
// Output beyond a megabyte is cut. Errors: the program cannot be started.
Result<ChildOutput> run_child(const std::vector<std::string>& command);

// Becomes that program; returns only when that fails, with the reason.
std::string replace_process(const std::vector<std::string>& command);

}  // namespace llmctl
