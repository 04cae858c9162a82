// The version of all four programs: they are built together and say so to each other (`llmctl
// doctor` compares). CMakeLists.txt has the same number; a test compares the two.
#pragma once

namespace llmctl {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace llmctl
