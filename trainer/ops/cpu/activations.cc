#include "trainer/ops/cpu/operators.h"

#include "trainer/ops/cpu/simd.h"

namespace llmctl::cpu {
namespace {

SIMD_CLONES void row_swiglu(const float* gate, const float* up, float* a, int64_t width) {
  for (int64_t i = 0; i < width; ++i) a[i] = gate[i] * up[i] / (1.0f + simd_exp(-gate[i]));
}

SIMD_CLONES void row_swiglu_backward(float* gate, float* up, const float* da, int64_t width) {
  for (int64_t i = 0; i < width; ++i) {
    const float g = gate[i], u = up[i];
    const float sigmoid = 1.0f / (1.0f + simd_exp(-g));
    up[i] = da[i] * g * sigmoid;
    gate[i] = da[i] * u * sigmoid * (1.0f + g * (1.0f - sigmoid));
  }
}

constexpr float kRoot = 0.7978845608028654f, kCubic = 0.044715f;  // sqrt(2 / pi)

// The share of x that passes: for tanh (1 + tanh(z)) / 2, the sigmoid of 2 z; for erf the normal
// distribution, from Abramowitz & Stegun 7.1.26, whose error is below 1.5e-7.
template <GeluFormula F>
[[gnu::always_inline]] inline float gate_of(float x) {
  if constexpr (F == GeluFormula::tanh) {
    return 1.0f / (1.0f + simd_exp(-2.0f * kRoot * (x + kCubic * x * x * x)));
  } else {
    const float size = __builtin_fabsf(x) * 0.70710678f;
    const float t = 1.0f / (1.0f + 0.3275911f * size);
    float p = 1.061405429f;
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    const float tail = 0.5f * p * t * simd_exp(-size * size);
    return x < 0 ? tail : 1.0f - tail;
  }
}
template <GeluFormula F>
[[gnu::always_inline]] inline float slope_of(float x, float gate) {
  if constexpr (F == GeluFormula::tanh) {
    return gate + x * gate * (1.0f - gate) * 2.0f * kRoot * (1.0f + 3.0f * kCubic * x * x);
  } else {
    return gate + x * 0.39894228f * simd_exp(-0.5f * x * x);
  }
}

template <GeluFormula F>
[[gnu::always_inline]] inline void plain(const float* up, float* a, int64_t width) {
  for (int64_t i = 0; i < width; ++i) a[i] = up[i] * gate_of<F>(up[i]);
}
template <GeluFormula F>
[[gnu::always_inline]] inline void plain_backward(float* up, const float* da, int64_t width) {
  for (int64_t i = 0; i < width; ++i) up[i] = da[i] * slope_of<F>(up[i], gate_of<F>(up[i]));
}
template <GeluFormula F>
[[gnu::always_inline]] inline void gated(const float* row, float* a, int64_t width) {
  const float* up = row + width;
  for (int64_t i = 0; i < width; ++i) a[i] = row[i] * gate_of<F>(row[i]) * up[i];
}
template <GeluFormula F>
[[gnu::always_inline]] inline void gated_backward(float* row, const float* da, int64_t width) {
  float* up = row + width;
  for (int64_t i = 0; i < width; ++i) {
    const float g = row[i], u = up[i], open = gate_of<F>(g);
    up[i] = da[i] * g * open;
    row[i] = da[i] * u * slope_of<F>(g, open);
  }
}

SIMD_CLONES void row_gelu(const float* up, float* a, int64_t width, GeluFormula formula) {
  if (formula == GeluFormula::erf) return plain<GeluFormula::erf>(up, a, width);
  plain<GeluFormula::tanh>(up, a, width);
}
SIMD_CLONES void row_gelu_backward(float* up, const float* da, int64_t width, GeluFormula formula) {
  if (formula == GeluFormula::erf) return plain_backward<GeluFormula::erf>(up, da, width);
  plain_backward<GeluFormula::tanh>(up, da, width);
}
SIMD_CLONES void row_geglu(const float* row, float* a, int64_t width, GeluFormula formula) {
  if (formula == GeluFormula::erf) return gated<GeluFormula::erf>(row, a, width);
  gated<GeluFormula::tanh>(row, a, width);
}
SIMD_CLONES void row_geglu_backward(float* row,
                                    const float* da,
                                    int64_t width,
                                    GeluFormula formula) {
  if (formula == GeluFormula::erf) return gated_backward<GeluFormula::erf>(row, da, width);
  gated_backward<GeluFormula::tanh>(row, da, width);
}

void activate_row(MlpActivation kind, const float* row, float* a, int64_t width) {
  if (kind == MlpActivation::swiglu) return row_swiglu(row, row + width, a, width);
  if (is_gated(kind)) return row_geglu(row, a, width, formula_of(kind));
  row_gelu(row, a, width, formula_of(kind));
}

void activate_row_backward(MlpActivation kind, float* row, const float* da, int64_t width) {
  if (kind == MlpActivation::swiglu) return row_swiglu_backward(row, row + width, da, width);
  if (is_gated(kind)) return row_geglu_backward(row, da, width, formula_of(kind));
  row_gelu_backward(row, da, width, formula_of(kind));
}

at::Tensor forward(MlpActivation kind, const at::Tensor& up) {
  const int64_t rows = up.size(0), row_width = up.size(1);
  const int64_t width = is_gated(kind) ? row_width / 2 : row_width;
  at::Tensor out = at::empty({rows, width}, up.options());
  const auto* in = up.const_data_ptr<float>();
  float* a = out.mutable_data_ptr<float>();
  at::parallel_for(0, rows, row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      activate_row(kind, in + row * row_width, a + row * width, width);
    }
  });
  return out;
}

void backward(MlpActivation kind, at::Tensor& up, const at::Tensor& da) {
  const int64_t rows = up.size(0), row_width = up.size(1), width = da.size(1);
  float* in = up.mutable_data_ptr<float>();
  const auto* grad = da.const_data_ptr<float>();
  at::parallel_for(0, rows, row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      activate_row_backward(kind, in + row * row_width, grad + row * width, width);
    }
  });
}

}  // namespace

const Activation activation = {forward, backward};

}  // namespace llmctl::cpu
