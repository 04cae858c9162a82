#include "trainer/model/norm.h"

#include "trainer/ops/operators.h"

namespace llmctl {

// A layer norm has a bias, an RMS norm has none.
Norm::Norm(NormTensors weights, NormTensors gradients, const ModelConfig& config)
    : w_(std::move(weights)),
      g_(std::move(gradients)),
      plus_one_(config.norm_plus_one),
      eps_(config.rms_norm_eps) {}

Normed Norm::forward(const at::Tensor& x) const {
  return add_forward(x, /*delta=*/{});
}

Normed Norm::add_forward(const at::Tensor& x, const at::Tensor& delta) const {
  const Operators& operators = operators_for(x);
  return w_.bias.defined() ? operators.layer_norm.forward(x, delta, w_, eps_)
                           : operators.rms_norm.forward(x, delta, weight(), eps_);
}

at::Tensor Norm::recompute(const at::Tensor& x, const at::Tensor& statistics) const {
  const Operators& operators = operators_for(x);
  return w_.bias.defined() ? operators.layer_norm.recompute(x, statistics, w_)
                           : operators.rms_norm.recompute(x, statistics, weight());
}

void Norm::backward(const at::Tensor& dy,
                    const at::Tensor& x,
                    const at::Tensor& statistics,
                    at::Tensor& dx) {
  const Operators& operators = operators_for(x);
  if (w_.bias.defined()) {
    operators.layer_norm.backward(dy, x, statistics, w_.weight, dx, g_);
  } else {
    operators.rms_norm.backward(dy, x, statistics, weight(), dx, g_.weight);
  }
}

}  // namespace llmctl
