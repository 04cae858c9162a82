#include "trainer/device/device_memory.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "core/base/units.h"
#include "trainer/device/memory_meter.h"

namespace llmctl {
namespace {

thread_local Cause cause_of_thread = Cause::workspace;

constexpr size_t kAlignment = 64;  // a cache line, and what SIMD loads like
constexpr size_t kHugePage = 2 << 20;
// Freed blocks are kept while live and kept together stay below this share of the peak.
constexpr double kKeptShare = 1.25;

struct alignas(kAlignment) Header {  // lies right before the bytes of a block
  size_t bytes = 0;                  // rounded, without this header
  Cause cause = Cause::workspace;
};

Header* system_block(size_t bytes) {
  const size_t whole = bytes + sizeof(Header);
  const size_t alignment = whole >= 2 * kHugePage ? kHugePage : kAlignment;
  void* block = nullptr;
  if (posix_memalign(&block, alignment, whole) != 0) return nullptr;
  if (alignment == kHugePage) madvise(block, whole, MADV_HUGEPAGE);  // advice: may be refused
  return new (block) Header{bytes};
}

class CountingAllocator final : public c10::Allocator, public MemoryMeter {
 public:
  c10::DataPtr allocate(size_t requested) override {
    const size_t bytes =
        std::max<size_t>(1, (requested + kAlignment - 1) / kAlignment) * kAlignment;
    Header* block = take(bytes, cause_of_thread);
    return {block + 1, block + 1, &CountingAllocator::give_back, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &CountingAllocator::give_back; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }

  void set_cap(Bytes cap) override {
    const std::lock_guard lock(mutex_);
    cap_ = cap;
  }
  MemoryCounts live() override {
    const std::lock_guard lock(mutex_);
    return live_;
  }
  MemoryCounts peak() override {
    const std::lock_guard lock(mutex_);
    return peak_;
  }
  void reset_peak() override {
    const std::lock_guard lock(mutex_);
    peak_ = live_;
  }
  void release_kept() override {
    const std::lock_guard lock(mutex_);
    shrink_kept_to(0);
  }

 private:
  static void give_back(void* data);

  Header* take(size_t bytes, Cause cause) {
    const std::lock_guard lock(mutex_);
    refuse_beyond_cap(static_cast<Bytes>(bytes));
    Header* block = take_kept(bytes);
    if (block == nullptr) {
      make_room(static_cast<Bytes>(bytes));
      block = system_block(bytes);
    }
    if (block == nullptr) out_of_memory(static_cast<Bytes>(bytes), "the system has no more memory");
    block->cause = cause;
    live_.add(cause, static_cast<Bytes>(bytes));
    if (live_.total > peak_.total) peak_ = live_;
    return block;
  }

  Header* take_kept(size_t bytes) {
    const auto found = kept_.find(bytes);
    if (found == kept_.end() || found->second.empty()) return nullptr;
    Header* block = found->second.back();
    found->second.pop_back();
    kept_bytes_ -= static_cast<Bytes>(bytes);
    return block;
  }

  void keep(Header* block) {
    const std::lock_guard lock(mutex_);
    const auto bytes = static_cast<Bytes>(block->bytes);
    live_.add(block->cause, -bytes);
    kept_[block->bytes].push_back(block);
    kept_bytes_ += bytes;
    make_room(0);
  }

  // Lets go of kept blocks, largest first, so that `bytes` more fit below the share and the cap.
  void make_room(Bytes bytes) {
    auto room = static_cast<Bytes>(kKeptShare * static_cast<double>(peak_.total));
    if (cap_ > 0) room = std::min(room, cap_);
    shrink_kept_to(std::max<Bytes>(0, room - live_.total - bytes));
  }

  void shrink_kept_to(Bytes limit) {
    for (auto size = kept_.rbegin(); size != kept_.rend() && kept_bytes_ > limit; ++size) {
      while (!size->second.empty() && kept_bytes_ > limit) {
        kept_bytes_ -= static_cast<Bytes>(size->first);
        std::free(size->second.back());  // NOLINT: from posix_memalign
        size->second.pop_back();
      }
    }
  }

  void refuse_beyond_cap(Bytes bytes) const {
    if (cap_ > 0 && live_.total + bytes > cap_) out_of_memory(bytes, "the cap is reached");
  }

  void out_of_memory(Bytes bytes, const char* why) const {
    TORCH_CHECK_WITH(OutOfMemoryError, false, "out of memory: ", why, ": ", format_bytes(bytes),
                     " asked for, ", format_bytes(live_.total), " in use",
                     cap_ > 0 ? ", cap " + format_bytes(cap_) : std::string());
  }

  std::mutex mutex_;
  MemoryCounts live_, peak_;
  Bytes cap_ = 0;
  Bytes kept_bytes_ = 0;
  std::map<size_t, std::vector<Header*>> kept_;  // freed blocks by size
};

// Never destroyed: tensors of static lifetime may be freed after main().
CountingAllocator& allocator() {
  static auto* instance = new CountingAllocator;
  return *instance;
}

void CountingAllocator::give_back(void* data) {
  allocator().keep(static_cast<Header*>(data) - 1);
}

MemoryMeter& meter_of(c10::Device device, [[maybe_unused]] Bytes beside) {
#ifdef LLMCTL_CUDA
  if (device.is_cuda()) return cuda_meter(device.index(), beside);
#endif
  TORCH_INTERNAL_ASSERT(device.is_cpu());
  return allocator();
}

std::atomic<MemoryMeter*> meter_in_use = nullptr;

MemoryMeter& meter() {
  MemoryMeter* chosen = meter_in_use;
  return chosen != nullptr ? *chosen : allocator();
}

}  // namespace

CauseScope::CauseScope(Cause cause) : before_(cause_of_thread) {
  cause_of_thread = cause;
}
CauseScope::~CauseScope() {
  cause_of_thread = before_;
}
Cause current_cause() {
  return cause_of_thread;
}

namespace device_memory {

void install() {
  c10::SetCPUAllocator(&allocator(), /*priority=*/100);
}
void use(c10::Device device, Bytes beside) {
  meter_in_use = &meter_of(device, beside);
}
void set_cap(Bytes bytes) {
  meter().set_cap(bytes);
}
Bytes live_bytes() {
  return meter().live().total;
}
Bytes peak_bytes() {
  return meter().peak().total;
}
void reset_peak() {
  meter().reset_peak();
}
void release_kept_blocks() {
  meter().release_kept();
}

MemoryByCause peak_by_cause() {
  const MemoryCounts peak = meter().peak();
  const auto of = [&](Cause cause) { return peak.by_cause[static_cast<size_t>(cause)]; };
  return {of(Cause::parameters),  of(Cause::gradients), of(Cause::optimizer),
          of(Cause::activations), of(Cause::logits),    of(Cause::workspace)};
}

}  // namespace device_memory
}  // namespace llmctl
