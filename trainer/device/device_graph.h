// Work of the device, captured as a graph that can be replayed at once, without the host code that
// enqueued it. On the CPU, which has no graphs, a replay runs that code again: the same
// results in the same order, so that tests there hold for whoever uses graphs. One thread calls it.
#pragma once

#include <functional>
#include <memory>

#include "trainer/device/tensor.h"

namespace llmctl {

class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  // Does not run the work: replay() does. What it allocates stays the graph's until that is
  // destroyed. Throws what the work throws, or c10::Error, when it cannot be captured, by waiting
  // for the device, say; afterwards all is as if nobody had tried.
  virtual void capture(std::function<void()> work) = 0;  // once
  virtual void replay() = 0;                             // on the current stream
};

std::unique_ptr<DeviceGraph> make_device_graph(at::Device device);
std::unique_ptr<DeviceGraph> make_cuda_graph();  // only in a build with CUDA

}  // namespace llmctl
