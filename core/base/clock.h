// The Clock seam: the only way to read time. Decisions use boot time (never jumps, counts suspend);
// wall time is for people only. Thread-safe.
#pragma once

#include "core/base/units.h"

namespace llmctl {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Millis boot_ms() const = 0;  // CLOCK_BOOTTIME
  virtual Millis unix_ms() const = 0;  // CLOCK_REALTIME
};

class SystemClock final : public Clock {
 public:
  Millis boot_ms() const override;
  Millis unix_ms() const override;
};

}  // namespace llmctl
