// A micro-batch's forward and backward as one device graph (cuda_graphs: true): after a few eager
// passes it is captured, reading its inputs and the scale of its loss at fixed addresses, and then
// replayed, so that the host has next to nothing to do. What a graph cannot hold stays eager, and
// `tell` gets the reason, once: packed documents, whose boundaries the host must know; offload; and
// whatever cannot be captured. The graph keeps the memory of its pass. One thread calls it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "trainer/device/device_graph.h"
#include "trainer/model/model.h"

namespace llmctl {

class PassGraph {
 public:
  using MakeGraph = std::function<std::unique_ptr<DeviceGraph>(at::Device)>;
  // `wanted` false: every pass is eager. Tests put a graph of their own in.
  PassGraph(Model& model,
            bool wanted,
            std::function<void(const std::string&)> tell,
            MakeGraph make_graph = make_device_graph);
  at::Tensor forward_backward(const MicroBatch& batch, double scale);  // as the model's
  // Gives the graph's memory back, for work beside training that nobody has measured together with
  // it: an evaluation, a sample. The next pass is captured anew.
  void release();
  bool captured() const { return graph_ != nullptr; }
  // A later pass will take the memory of a graph, which no pass has yet.
  bool will_capture() const { return wanted_ && !captured(); }

 private:
  bool may_capture(const MicroBatch& batch);
  void fill_inputs(const MicroBatch& batch, double scale);
  void capture();
  void give_up(const std::string& why);

  Model& model_;
  bool wanted_;
  std::function<void(const std::string&)> tell_;
  MakeGraph make_graph_;
  int eager_passes_ = 0;
  MicroBatch inputs_;  // on the device
  at::Tensor scale_, loss_;
  std::unique_ptr<DeviceGraph> graph_;
};

}  // namespace llmctl
