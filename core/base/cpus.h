// The CPUs of this process, as the kernel has them. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace llmctl {

// On which this thread may be scheduled, ascending; never empty.
std::vector<int> allowed_cpus();

// From now on this thread runs on these, and so do those it starts; false: the kernel refuses.
bool stay_on(const std::vector<int>& cpus);

// How many threads can run at a time: the allowed CPUs, or fewer where a control group has a quota,
// as containers have; at least 1.
int32_t usable_cpus();

// CPUs' worth of time in cgroup v2's cpu.max ("150000 100000": 1.5); nullopt: no quota.
std::optional<double> cpu_quota(std::string_view cpu_max);

}  // namespace llmctl
