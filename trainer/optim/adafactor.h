// Adafactor (Shazeer & Stern, arXiv 1804.04235; PyTorch's formula): the second moment of a matrix
// is kept as a row and a column of means, that of a vector whole; no first moment. Steps are
// relative to the size of the weights: learning_rate caps the relative step 1/sqrt(updates). One
// form in ATen operators for every device; its temporary is one matrix at a time.
#pragma once

#include "trainer/optim/optimizer.h"

namespace llmctl {

class Adafactor final : public Optimizer {
 public:
  explicit Adafactor(const ParameterLayout& layout, OptimizerStateHome home = {});
  std::vector<NamedTensor> state(const ParameterLayout& layout) override;

 private:
  struct Part {  // of one slot
    ParameterSlot slot;
    bool decays = false;
    at::Tensor rows, columns;  // of a matrix: [R, 1] and [1, C]
    at::Tensor whole;          // of a vector
  };
  void apply(WeightsAsFp32& weights, at::Tensor& gradients, const OptimizerStep& step) override;
  at::Tensor variance(OptimizerStateHome::Tensors& moments, const at::Tensor& gradient) const;
  OptimizerStateHome home_;
  std::vector<Part> parts_;
};

}  // namespace llmctl
