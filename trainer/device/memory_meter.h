// What device_memory's functions ask: one meter per kind of device. MemoryCounts is the sum
// every meter keeps, live and at its peak, by cause. Not for use outside device_memory*.cc.
#pragma once

#include <array>

#include "trainer/device/device_memory.h"

namespace llmctl {

struct MemoryCounts {
  std::array<Bytes, kCauses> by_cause = {};
  Bytes total = 0;
  void add(Cause cause, Bytes bytes) {
    by_cause[static_cast<size_t>(cause)] += bytes;
    total += bytes;
  }
};

class MemoryMeter {  // safe from any thread
 public:
  virtual ~MemoryMeter() = default;
  virtual void set_cap(Bytes cap) = 0;
  virtual MemoryCounts live() = 0;
  virtual MemoryCounts peak() = 0;
  virtual void reset_peak() = 0;
  virtual void release_kept() = 0;
};

Cause current_cause();  // of this thread
// Only in a build with CUDA; one device per process. The cap and the peak hold `beside`, too.
MemoryMeter& cuda_meter(int device, Bytes beside);

}  // namespace llmctl
