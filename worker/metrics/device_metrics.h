// DeviceMetrics: Prometheus series of this machine's devices, from what DeviceReader saw. GPUs as
// llmctl_gpu_*, a CPU's declared budget as llmctl_cpu_*. A value the driver does not give has no
// series; a device that is gone from the reading loses all of its series. Loop thread only.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "metrics/families.h"
#include "worker/devices/inventory.h"

namespace llmctl::worker {

class DeviceMetrics {
 public:
  explicit DeviceMetrics(prometheus::Registry& registry);
  ~DeviceMetrics();

  void observe(const std::vector<DeviceStats>& devices);

 private:
  struct Families;
  struct OneDevice;

  void observe_one(OneDevice& one, const DeviceStats& stats);
  void observe_gpu(OneDevice& one, const DeviceStats& stats);

  std::unique_ptr<Families> families_;
  std::map<std::string, OneDevice> devices_;  // by "cuda:0"
};

}  // namespace llmctl::worker
