// What `llmctl doctor` finds out: one Check per question, each with the fix when it is not ok.
#pragma once

#include <string>
#include <vector>

#include "cli/shell/environment.h"

namespace llmctl {

struct Check {
  std::string name;
  enum class Verdict { ok, warn, fail } verdict = Verdict::ok;
  std::string detail;
  std::string fix;  // a command or a sentence; empty when ok
};
const char* to_string(Check::Verdict verdict);  // ok | warn | fail

std::vector<Check> check_host(const Environment& env);     // host_checks.cc
std::vector<Check> check_cluster(const Environment& env);  // doctor.cc

// Pure parts, for tests.
Check judge_free_space(const std::string& path, long long bytes_free);
Check judge_open_files(unsigned long long soft_limit);

}  // namespace llmctl
