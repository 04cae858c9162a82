#include "core/base/cpus.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <string>

namespace llmctl {

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return {0};
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

bool stay_on(const std::vector<int>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) CPU_SET(cpu, &set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

std::optional<double> cpu_quota(std::string_view cpu_max) {
  double microseconds = 0, period = 0;
  const char* end = cpu_max.data() + cpu_max.size();
  const auto quota = std::from_chars(cpu_max.data(), end, microseconds);
  if (quota.ec != std::errc() || quota.ptr == end) return std::nullopt;  // "max 100000", too
  if (std::from_chars(quota.ptr + 1, end, period).ec != std::errc()) return std::nullopt;
  if (!(microseconds > 0 && period > 0)) return std::nullopt;
  return microseconds / period;
}

// The tightest quota on the way from this process's control group to the root.
static std::optional<double> own_quota() {
  std::ifstream groups("/proc/self/cgroup");
  std::string line, text;
  std::optional<double> tightest;
  while (std::getline(groups, line)) {
    if (!line.starts_with("0::")) continue;
    for (std::string path = line.substr(3);; path.resize(path.rfind('/'))) {
      std::ifstream file("/sys/fs/cgroup" + path + "/cpu.max");
      if (std::getline(file, text)) {
        const std::optional<double> quota = cpu_quota(text);
        if (quota) tightest = std::min(*quota, tightest.value_or(*quota));
      }
      if (path.find('/') == std::string::npos) break;
    }
  }
  return tightest;
}

int32_t usable_cpus() {
  const auto allowed = static_cast<double>(allowed_cpus().size());
  const double most = std::min(allowed, std::ceil(own_quota().value_or(allowed)));
  return std::max(1, static_cast<int32_t>(most));
}

}  // namespace llmctl
