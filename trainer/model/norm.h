// A norm as the model was configured with it: RMS or layer norm, of weights used as they are or as
// 1 + w. Holds views of its weights and of their gradients. For a norm that the model does not
// have, exists() is false. One thread calls it.
#pragma once

#include "trainer/model/parameters.h"
#include "trainer/ops/operands/normed.h"

namespace llmctl {

class Norm {
 public:
  Norm(NormTensors weights, NormTensors gradients, const ModelConfig& config);
  bool exists() const { return w_.weight.defined(); }

  Normed forward(const at::Tensor& x) const;
  // x += delta in place first, where `delta` is defined.
  Normed add_forward(const at::Tensor& x, const at::Tensor& delta) const;
  // y of forward once more, from what it saved.
  at::Tensor recompute(const at::Tensor& x, const at::Tensor& statistics) const;
  // Adds to dx and to the gradients.
  void backward(const at::Tensor& dy,
                const at::Tensor& x,
                const at::Tensor& statistics,
                at::Tensor& dx);

 private:
  at::Tensor weight() const { return plus_one_ ? w_.weight + 1 : w_.weight; }

  NormTensors w_, g_;
  bool plus_one_;
  double eps_;
};

}  // namespace llmctl
