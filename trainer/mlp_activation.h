// Which elementwise function stands between the two products of an MLP: one of swiglu.h, gelu.h.
#pragma once

#include "core/model_config.h"
#include "trainer/gelu.h"
#include "trainer/swiglu.h"

namespace llmctl {

enum class MlpActivation { swiglu, geglu, gelu };

inline MlpActivation mlp_activation(const ModelConfig& config) {
  if (!config.gated_mlp) return MlpActivation::gelu;
  return config.activation == "silu" ? MlpActivation::swiglu : MlpActivation::geglu;
}

inline at::Tensor activate(MlpActivation kind, const at::Tensor& up) {
  if (kind == MlpActivation::swiglu) return swiglu(up);
  return kind == MlpActivation::geglu ? geglu(up) : llmctl::gelu(up);
}

// `up` becomes its gradient.
inline void activate_backward(MlpActivation kind, at::Tensor& up, const at::Tensor& da) {
  if (kind == MlpActivation::swiglu) return swiglu_backward(up, da);
  return kind == MlpActivation::geglu ? geglu_backward(up, da) : llmctl::gelu_backward(up, da);
}

}  // namespace llmctl
