#include "worker/contract/trainer_environment.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/job/job_environment.h"

namespace llmctl::worker {

// Exact names, or prefixes when they end in '_'.
static constexpr auto kInherited = std::to_array<std::string_view>(
    {"PATH", "HOME", "USER", "LANG", "LC_", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_", "NVIDIA_",
     "NCCL_", "GLOO_", "ASAN_", "UBSAN_", "TSAN_", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"});

// Threads of a team that wait for each other spin otherwise, on cores that a trainer of another
// home, or anybody, could use: two trainers of 2 threads on 2 cores then do a tenth of the work.
// Where nobody else runs, sleeping costs 3 % or less.
static constexpr std::string_view kWaitAsleep = "OMP_WAIT_POLICY=passive";

static bool listed(std::string_view name) {
  return std::any_of(kInherited.begin(), kInherited.end(), [&](std::string_view entry) {
    return entry.back() == '_' ? name.starts_with(entry) : name == entry;
  });
}

static bool well_formed(std::string_view name) {
  const auto is_plain = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
         std::all_of(name.begin(), name.end(), is_plain);
}

Result<std::vector<std::string>> trainer_environment(
    const char* const* inherited, const std::map<std::string, std::string>& job) {
  std::vector<std::string> lines;
  for (; *inherited != nullptr; ++inherited) {
    const std::string_view line = *inherited;
    const std::string_view name = line.substr(0, line.find('='));
    if (listed(name) && !job.contains(std::string(name))) lines.emplace_back(line);
  }
  for (const auto& [name, value] : job) {
    if (!well_formed(name) || !job_may_set(name) || value.find('\0') != std::string::npos) {
      return Error{Code::invalid_argument, "env." + name + ": a job may not set this variable",
                   "it may set " + settable_variables()};
    }
    std::string& line = lines.emplace_back(name);
    line.append("=").append(value);
  }
  const bool says_how_to_wait = std::any_of(lines.begin(), lines.end(), [](std::string_view line) {
    return line.starts_with("OMP_WAIT_POLICY=") || line.starts_with("GOMP_SPINCOUNT=");
  });
  if (!says_how_to_wait) lines.emplace_back(kWaitAsleep);
  return lines;
}

}  // namespace llmctl::worker
