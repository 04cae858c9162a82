// The Python of the peers that tests compare with: LLMCTL_PYTHON, python3 or the repository's
// .venv.
#pragma once

#include <cstdlib>
#include <string>

#include "tests/trainer/trainer_process.h"

namespace llmctl {

// The first that can import all of `modules` ("torch, transformers"), quoted for the shell; empty:
// none.
inline std::string python_with(const std::string& modules) {
  const char* given = std::getenv("LLMCTL_PYTHON");
  for (const std::string path :
       {given == nullptr ? "python3" : given, LLMCTL_SOURCE_DIR "/.venv/bin/python"}) {
    const std::string python = "'" + path + "'";
    if (run_program(python + " -c 'import " + modules + "' 2>/dev/null").code == 0) return python;
  }
  return "";
}

}  // namespace llmctl
