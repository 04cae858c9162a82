#include "core/base/descriptors.h"

#include <sys/resource.h>

#include <algorithm>
#include <limits>

namespace llmctl {

int raise_descriptor_limit() {
  constexpr rlim_t kMost = std::numeric_limits<int>::max();
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  const rlim_t now = setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before;
  return static_cast<int>(std::min(now, kMost));
}

}  // namespace llmctl
