// DeviceMemory: what the device's memory holds and the most it ever held, by cause, with a cap
// whose excess is a genuine c10::OutOfMemoryError. On CPU it is the allocator of every tensor:
// counting, and keeping freed blocks of a size for the next request of that size, so that a step
// does not fault in the same pages again. Kept blocks count against the cap and go first when room
// is needed. On CUDA LibTorch's caching allocator stays; it is capped and listened to, allocation
// by allocation. The most it reserved beyond what was allocated (rounding, fragments) counts as
// workspace, and so does what the process takes of a GPU beside (CUDA's context, NCCL's buffers).
// One device per process; safe from any thread.
#pragma once

#include <c10/core/Device.h>

#include <array>
#include <cstddef>

#include "core/plan/plan.h"

namespace llmctl {

enum class Cause { parameters, gradients, optimizer, activations, logits, workspace };
inline constexpr size_t kCauses = 6;

// While it lives, what this thread allocates counts under `cause`. Nests.
class CauseScope {
 public:
  explicit CauseScope(Cause cause);
  ~CauseScope();
  CauseScope(const CauseScope&) = delete;
  CauseScope& operator=(const CauseScope&) = delete;

 private:
  Cause before_;
};

namespace device_memory {

void install();  // before the first tensor; again: no effect
// The device of all below; the CPU until then. Of a GPU the process takes `beside` its tensors.
void use(c10::Device device, Bytes beside = 0);
void set_cap(Bytes bytes);  // 0: none. Applies to what is allocated from now on
Bytes live_bytes();
Bytes peak_bytes();  // since reset_peak()
// What was live at the moment of the peak; its total is peak_bytes().
MemoryByCause peak_by_cause();
void reset_peak();
void release_kept_blocks();

}  // namespace device_memory
}  // namespace llmctl
