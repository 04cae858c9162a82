// Which elementwise function stands between the two products of an MLP. GELU (Hendrycks & Gimpel,
// arXiv 1606.08415) has two formulas: by tanh, and by the error function. Gated ones (Shazeer,
// arXiv 2002.05202) take g and u side by side in one row, as the fused gate/up product writes them:
// swiglu is silu(g) * u, geglu is gelu(g) * u.
#pragma once

#include "core/model/model_config.h"

namespace llmctl {

enum class GeluFormula { tanh, erf };

enum class MlpActivation { swiglu, geglu, geglu_erf, gelu, gelu_erf };

constexpr bool is_gated(MlpActivation kind) {
  return kind != MlpActivation::gelu && kind != MlpActivation::gelu_erf;
}

// Requires: it is not swiglu.
constexpr GeluFormula formula_of(MlpActivation kind) {
  const bool erf = kind == MlpActivation::geglu_erf || kind == MlpActivation::gelu_erf;
  return erf ? GeluFormula::erf : GeluFormula::tanh;
}

inline MlpActivation mlp_activation(const ModelConfig& config) {
  const bool erf = config.activation == "gelu";
  if (!config.gated_mlp) return erf ? MlpActivation::gelu_erf : MlpActivation::gelu;
  if (config.activation == "silu") return MlpActivation::swiglu;
  return erf ? MlpActivation::geglu_erf : MlpActivation::geglu;
}

}  // namespace llmctl
