#include "trainer/model/norm.h"

#include "trainer/ops/layer_norm.h"

namespace llmctl {

// A layer norm has a bias, an RMS norm has none.
Norm::Norm(NormTensors weights, NormTensors gradients, const ModelConfig& config)
    : w_(std::move(weights)),
      g_(std::move(gradients)),
      plus_one_(config.norm_plus_one),
      eps_(config.rms_norm_eps) {}

Normed Norm::forward(const at::Tensor& x) const {
  return w_.bias.defined() ? layer_norm(x, w_, eps_) : rms_norm(x, weight(), eps_);
}

Normed Norm::add_forward(at::Tensor& x, const at::Tensor& delta) const {
  return w_.bias.defined() ? add_layer_norm(x, delta, w_, eps_)
                           : add_rms_norm(x, delta, weight(), eps_);
}

at::Tensor Norm::again(const at::Tensor& x, const at::Tensor& statistics) const {
  return w_.bias.defined() ? layer_norm_again(x, statistics, w_)
                           : rms_norm_again(x, statistics, weight());
}

void Norm::backward(const at::Tensor& dy,
                    const at::Tensor& x,
                    const at::Tensor& statistics,
                    at::Tensor& dx) {
  if (w_.bias.defined()) {
    layer_norm_backward(dy, x, statistics, w_.weight, dx, g_);
  } else {
    rms_norm_backward(dy, x, statistics, weight(), dx, g_.weight);
  }
}

}  // namespace llmctl
