// Averaged: any optimizer, with an exponential moving average of the weights beside it (Polyak
// averaging, as in Karras et al., CVPR 2024): after each update average = d average + (1 - d)
// weights, where d grows to ema_decay, so that the first weights are soon forgotten. The average is
// part of the optimizer's state; evaluations and exports use it.
#pragma once

#include "trainer/model/model.h"
#include "trainer/optim/optimizer.h"

namespace llmctl {

class Averaged final : public Optimizer {
 public:
  Averaged(std::unique_ptr<Optimizer> inner,
           double decay,
           int64_t elements,
           OptimizerStateHome home);
  std::vector<NamedTensor> state(const ParameterLayout& layout) override;
  at::Tensor average() const override;

 private:
  void apply(WeightsAsFp32& weights, at::Tensor& gradients, const OptimizerStep& step) override;

  std::unique_ptr<Optimizer> inner_;
  double decay_;
  OptimizerStateHome home_;
  at::Tensor average_;  // flat fp32, the weights' layout; as the weights before the first update
};

// While it lives, the model has the average for weights, where the optimizer makes one.
class UseAverage {
 public:
  UseAverage(Model& model, const Optimizer& optimizer);
  ~UseAverage();
  UseAverage(const UseAverage&) = delete;
  UseAverage& operator=(const UseAverage&) = delete;

 private:
  Model& model_;
  at::Tensor average_;
};

}  // namespace llmctl
