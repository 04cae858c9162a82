// Which elementwise function stands between the two products of an MLP: one of swiglu.h, gelu.h.
#pragma once

#include "core/model/model_config.h"
#include "trainer/ops/gelu.h"
#include "trainer/ops/swiglu.h"

namespace llmctl {

enum class MlpActivation { swiglu, geglu, geglu_erf, gelu, gelu_erf };

constexpr bool is_gated(MlpActivation kind) {
  return kind != MlpActivation::gelu && kind != MlpActivation::gelu_erf;
}
constexpr MlpActivation gelu_of(bool gated, GeluFormula formula) {
  if (gated) return formula == GeluFormula::erf ? MlpActivation::geglu_erf : MlpActivation::geglu;
  return formula == GeluFormula::erf ? MlpActivation::gelu_erf : MlpActivation::gelu;
}
constexpr GeluFormula formula_of(MlpActivation kind) {
  return kind == gelu_of(is_gated(kind), GeluFormula::erf) ? GeluFormula::erf : GeluFormula::tanh;
}

inline MlpActivation mlp_activation(const ModelConfig& config) {
  if (config.gated_mlp && config.activation == "silu") return MlpActivation::swiglu;
  return gelu_of(config.gated_mlp,
                 config.activation == "gelu" ? GeluFormula::erf : GeluFormula::tanh);
}

inline at::Tensor activate(MlpActivation kind, const at::Tensor& up) {
  if (kind == MlpActivation::swiglu) return swiglu(up);
  return is_gated(kind) ? geglu(up, formula_of(kind)) : gelu(up, formula_of(kind));
}

// `up` becomes its gradient.
inline void activate_backward(MlpActivation kind, at::Tensor& up, const at::Tensor& da) {
  if (kind == MlpActivation::swiglu) return swiglu_backward(up, da);
  return is_gated(kind) ? geglu_backward(up, da, formula_of(kind))
                        : gelu_backward(up, da, formula_of(kind));
}

}  // namespace llmctl
