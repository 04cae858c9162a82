#include "trainer/device/device_graph.h"  // first: it settles whose CHECK this is

#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>

namespace llmctl {
namespace {

namespace caching = c10::cuda::CUDACachingAllocator;

struct Graph : at::cuda::CUDAGraph {
  bool owns_pool() const { return capture_ended_; }  // and releases it when it is destroyed
};

class CudaGraph final : public DeviceGraph {
 public:
  // On the current stream, which open_device() has made one that can be captured, with nothing else
  // under way.
  void capture(std::function<void()> work) override {
    c10::cuda::device_synchronize();
    try {
      // Of this thread only: others (NCCL's watchdog) may go on asking the device.
      graph_.capture_begin(pool_, cudaStreamCaptureModeThreadLocal);
      work();
      graph_.capture_end();
    } catch (...) {
      abandon();
      throw;
    }
  }
  void replay() override { graph_.replay(); }

 private:
  // Ends the capture, if it goes on still. Where CUDA has refused it, LibTorch 2.11 does not tell
  // its allocators: they would free nothing when memory runs out, keep the pool for ever, and go on
  // asking this graph, which is gone by then, whose an allocation is.
  void abandon() {
    try_to([&] { graph_.capture_end(); });
    cudaGetLastError();  // else the next kernel would be blamed
    if (graph_.owns_pool()) return;
    const c10::DeviceIndex device = c10::cuda::current_device();
    at::HostAllocator& pinned = *at::getHostAllocator(at::kCUDA);
    try_to([&] { caching::endAllocateToPool(device, pool_); });
    try_to([&] { pinned.end_allocate_to_pool(pool_); });
    try_to([&] { caching::releasePool(device, pool_); });
    try_to([&] { pinned.release_pool(pool_); });
  }

  // What has been done already is refused.
  template <class Step>
  static void try_to(const Step& step) {
    try {
      step();
    } catch (const std::exception&) {
    }
  }

  const at::cuda::MempoolId_t pool_ = at::cuda::graph_pool_handle();
  Graph graph_;
};

}  // namespace

std::unique_ptr<DeviceGraph> make_cuda_graph() {
  return std::make_unique<CudaGraph>();
}

}  // namespace llmctl
