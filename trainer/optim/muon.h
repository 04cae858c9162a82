// Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/; PyTorch's formula): a
// matrix inside the blocks moves along its momentum made orthogonal by five Newton-Schulz steps,
// scaled to the size of AdamW's updates (Liu et al., arXiv 2502.16982), so one learning_rate serves
// both. Embeddings, the head and vectors take AdamW. Products are fp32 on the CPU and bf16
// elsewhere.
#pragma once

#include "trainer/optim/optimizer.h"

namespace llmctl {

class Muon final : public Optimizer {
 public:
  explicit Muon(const ParameterLayout& layout, OptimizerStateHome home = {});
  std::vector<NamedTensor> state(const ParameterLayout& layout) override;

 private:
  struct Part {  // of one slot
    ParameterSlot slot;
    bool decays = false;
    at::Tensor momentum;       // of a matrix
    at::Tensor first, second;  // of what AdamW moves
  };
  void apply(WeightsAsFp32& weights, at::Tensor& gradients, const OptimizerStep& step) override;
  void move_matrix(const Part& part,
                   const at::Tensor& momentum,
                   WeightsAsFp32& weights,
                   const at::Tensor& gradients,
                   const OptimizerStep& step) const;

  OptimizerStateHome home_;
  std::vector<Part> parts_;
  std::vector<StatePiece> pieces_;  // a part with momentum is one piece
};

// Five steps of the quintic iteration: the result has the singular vectors of `x`, and singular
// values near one. Overwrites `x`. fp32 on the CPU, else bf16.
at::Tensor orthogonal(at::Tensor x);

}  // namespace llmctl
