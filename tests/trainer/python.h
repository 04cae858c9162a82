// The Python of the peers that tests compare with: LLMCTL_PYTHON, python3 or the repository's
// .venv. Where peers must be there (LLMCTL_PEERS=required, as `./dev test` says when it installed
// them, and CI should), one that is missing fails the test that would have skipped.
#pragma once

#include <gtest/gtest.h>

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
  const char* peers = std::getenv("LLMCTL_PEERS");
  if (peers != nullptr && std::string(peers) == "required") {
    ADD_FAILURE() << "LLMCTL_PEERS=required, and no Python can import " << modules;
  }
  return "";
}

}  // namespace llmctl
