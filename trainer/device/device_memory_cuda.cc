// The meter of CUDA memory: listens to LibTorch's caching allocator, which tells of every block and
// every segment it takes or gives back, on the thread that asks and under the allocator's lock.
#include "trainer/device/tensor.h"  // first: it settles whose CHECK this is

#include <ATen/Context.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDACachingAllocator.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <unordered_map>

#include "trainer/device/memory_meter.h"

namespace llmctl {
namespace {

namespace caching = c10::cuda::CUDACachingAllocator;

constexpr Bytes kBlock = 512;  // what the allocator rounds up to

class CudaMeter final : public MemoryMeter {
 public:
  explicit CudaMeter(int device) : device_(static_cast<c10::DeviceIndex>(device)) {
    at::globalContext().lazyInitDevice(c10::DeviceType::CUDA);
    caching::attachAllocatorTraceTracker([this](const caching::TraceEntry& entry) { note(entry); });
  }

  void set_beside(Bytes beside) { beside_ = beside; }

  void set_cap(Bytes cap) override {
    const auto all = static_cast<double>(at::cuda::getDeviceProperties(device_)->totalGlobalMem);
    const auto tensors = static_cast<double>(std::max<Bytes>(0, cap - beside_));
    caching::setMemoryFraction(cap > 0 ? std::min(1.0, tensors / all) : 1.0, device_);
  }
  MemoryCounts live() override {
    const std::lock_guard lock(mutex_);
    return live_;
  }
  MemoryCounts peak() override {
    const std::lock_guard lock(mutex_);
    MemoryCounts peak = peak_;
    peak.add(Cause::workspace, std::max<Bytes>(0, reserved_peak_ - peak_.total) + beside_);
    return peak;
  }
  void reset_peak() override {
    const std::lock_guard lock(mutex_);
    peak_ = live_;
    reserved_peak_ = reserved_;
  }
  void release_kept() override { caching::emptyCache(); }

 private:
  struct Block {
    Cause cause;
    Bytes bytes;
  };

  void note(const caching::TraceEntry& entry) {  // must not allocate on the device
    if (entry.device_ != device_) return;
    const std::lock_guard lock(mutex_);
    const auto bytes = static_cast<Bytes>(entry.size_);
    switch (entry.action_) {
      case caching::TraceEntry::ALLOC:
        allocated(entry.addr_, std::max<Bytes>(1, (bytes + kBlock - 1) / kBlock) * kBlock);
        break;
      case caching::TraceEntry::FREE_COMPLETED:
        freed(entry.addr_);
        break;
      case caching::TraceEntry::SEGMENT_ALLOC:
      case caching::TraceEntry::SEGMENT_MAP:
        reserved_ += bytes;
        reserved_peak_ = std::max(reserved_peak_, reserved_);
        break;
      case caching::TraceEntry::SEGMENT_FREE:
      case caching::TraceEntry::SEGMENT_UNMAP:
        reserved_ -= bytes;
        break;
      default:
        break;
    }
  }

  void allocated(size_t address, Bytes bytes) {
    const Cause cause = current_cause();
    blocks_[address] = {cause, bytes};
    live_.add(cause, bytes);
    if (live_.total > peak_.total) peak_ = live_;
  }

  void freed(size_t address) {
    const auto found = blocks_.find(address);
    if (found == blocks_.end()) return;
    live_.add(found->second.cause, -found->second.bytes);
    blocks_.erase(found);
  }

  const c10::DeviceIndex device_;
  std::atomic<Bytes> beside_ = 0;
  std::mutex mutex_;
  MemoryCounts live_, peak_;
  Bytes reserved_ = 0, reserved_peak_ = 0;
  std::unordered_map<size_t, Block> blocks_;  // by address
};

}  // namespace

// Never destroyed: the allocator outlives main() and keeps telling.
MemoryMeter& cuda_meter(int device, Bytes beside) {
  static auto* instance = new CudaMeter(device);
  instance->set_beside(beside);
  return *instance;
}

}  // namespace llmctl
