#include "trainer/device/device_graph.h"

namespace llmctl {
namespace {

class RepeatedWork final : public DeviceGraph {
 public:
  void capture(std::function<void()> work) override { work_ = std::move(work); }
  void replay() override { work_(); }

 private:
  std::function<void()> work_;
};

}  // namespace

std::unique_ptr<DeviceGraph> make_device_graph(at::Device device) {
#ifdef LLMCTL_CUDA
  if (device.is_cuda()) return make_cuda_graph();
#endif
  CHECK(device.is_cpu());
  return std::make_unique<RepeatedWork>();
}

}  // namespace llmctl
