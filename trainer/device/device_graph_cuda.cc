#include "trainer/device/device_graph.h"  // first: it settles whose CHECK this is

#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>

namespace llmctl {
namespace {

class CudaGraph final : public DeviceGraph {
 public:
  // On a stream of its own, as CUDA wants it, with nothing else under way.
  void capture(std::function<void()> work) override {
    c10::cuda::device_synchronize();
    const c10::cuda::CUDAStreamGuard aside(at::cuda::getStreamFromPool());
    // Of this thread only: others (NCCL's watchdog) may go on asking the device.
    graph_.capture_begin(/*pool=*/{0, 0}, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      abandon();
      throw;
    }
    graph_.capture_end();
  }
  void replay() override { graph_.replay(); }

 private:
  void abandon() {
    try {
      graph_.capture_end();  // says once more what went wrong
    } catch (const c10::Error&) {
      cudaGetLastError();  // else the next kernel would be blamed
    }
  }
  at::cuda::CUDAGraph graph_;
};

}  // namespace

std::unique_ptr<DeviceGraph> make_cuda_graph() {
  return std::make_unique<CudaGraph>();
}

}  // namespace llmctl
