#include "core/base/clock.h"

#include <ctime>

namespace llmctl {

static Millis read_clock(clockid_t id) {
  timespec ts{};
  CHECK(clock_gettime(id, &ts) == 0);
  return static_cast<Millis>(ts.tv_sec) * 1000 + ts.tv_nsec / 1'000'000;
}

Millis SystemClock::boot_ms() const {
  return read_clock(CLOCK_BOOTTIME);
}
Millis SystemClock::unix_ms() const {
  return read_clock(CLOCK_REALTIME);
}

}  // namespace llmctl
