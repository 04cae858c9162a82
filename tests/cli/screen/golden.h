// Golden texts: what a verb shows, as files under golden/ that a reviewer can read. Set
// LLMCTL_UPDATE_GOLDEN=1 to rewrite them after a wanted change.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace llmctl {

inline void expect_golden(const std::string& name, const std::string& text) {
  const std::string path = std::string(LLMCTL_SOURCE_DIR "/tests/cli/screen/golden/") + name;
  if (std::getenv("LLMCTL_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ifstream file(path);
  ASSERT_TRUE(file) << path << " is missing; LLMCTL_UPDATE_GOLDEN=1 writes it";
  std::ostringstream expected;
  expected << file.rdbuf();
  EXPECT_EQ(expected.str(), text) << "differs from " << path;
}

}  // namespace llmctl
