// A micro-batch's forward and backward as one device graph (cuda_graphs: true): after a few eager
// passes it is captured, reading its inputs at fixed addresses, and then replayed, so that the host
// has next to nothing to do. What a graph cannot hold stays eager, and `tell` gets the reason,
// once: packed documents, whose boundaries the host must know; offload; a scale that differs in
// almost every pass; and whatever LibTorch refuses to capture. The graph keeps the memory of its
// pass. One thread calls it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "trainer/device/device_graph.h"
#include "trainer/model/model.h"

namespace llmctl {

class PassGraph {
 public:
  // `wanted` false: every pass is eager.
  PassGraph(Model& model, bool wanted, std::function<void(const std::string&)> tell);
  at::Tensor forward_backward(const MicroBatch& batch, double scale);  // as the model's
  bool captured() const { return graph_ != nullptr; }

 private:
  bool may_capture(const MicroBatch& batch);
  void capture(double scale);
  void give_up(const std::string& why);

  Model& model_;
  bool wanted_;
  std::function<void(const std::string&)> tell_;
  int passes_ = 0, replays_ = 0;  // the second since the last capture
  MicroBatch inputs_;             // on the device
  double scale_ = 0;              // is part of what was captured
  at::Tensor loss_;
  std::unique_ptr<DeviceGraph> graph_;
};

}  // namespace llmctl
