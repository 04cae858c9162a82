#include "trainer/ops/gelu.h"

#include <algorithm>

#include "trainer/ops/cpu/simd.h"
#include "trainer/ops/cuda/cuda_operators.h"
#include "trainer/ops/reference/aten.h"

namespace llmctl {
namespace {

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

}  // namespace

at::Tensor gelu(const at::Tensor& up, GeluFormula formula) {
  if (own::take(up)) return own::activate(gelu_of(false, formula), up);
  if (!fits_cpu_kernels(up)) return aten::gelu(up, formula);
  const int64_t rows = up.size(0), width = up.size(1);
  at::Tensor out = at::empty_like(up);
  const auto* in = up.const_data_ptr<float>();
  float* a = out.mutable_data_ptr<float>();
  at::parallel_for(0, rows, row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      row_gelu(in + row * width, a + row * width, width, formula);
    }
  });
  return out;
}

void gelu_backward(at::Tensor& up, const at::Tensor& da, GeluFormula formula) {
  if (own::take(up)) return own::activate_backward(gelu_of(false, formula), up, da);
  if (!fits_cpu_kernels(up)) return aten::gelu_backward(up, da, formula);
  const int64_t rows = up.size(0), width = up.size(1);
  float* in = up.mutable_data_ptr<float>();
  const auto* grad = da.const_data_ptr<float>();
  at::parallel_for(0, rows, row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      row_gelu_backward(in + row * width, grad + row * width, width, formula);
    }
  });
}

at::Tensor geglu(const at::Tensor& gate_up, GeluFormula formula) {
  if (own::take(gate_up)) return own::activate(gelu_of(true, formula), gate_up);
  if (!fits_cpu_kernels(gate_up)) return aten::geglu(gate_up, formula);
  const int64_t rows = gate_up.size(0), width = gate_up.size(1) / 2;
  at::Tensor out = at::empty({rows, width}, gate_up.options());
  const auto* in = gate_up.const_data_ptr<float>();
  float* a = out.mutable_data_ptr<float>();
  at::parallel_for(0, rows, row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      row_geglu(in + row * 2 * width, a + row * width, width, formula);
    }
  });
  return out;
}

void geglu_backward(at::Tensor& gate_up, const at::Tensor& da, GeluFormula formula) {
  if (own::take(gate_up)) return own::activate_backward(gelu_of(true, formula), gate_up, da);
  if (!fits_cpu_kernels(gate_up)) return aten::geglu_backward(gate_up, da, formula);
  const int64_t rows = gate_up.size(0), width = gate_up.size(1) / 2;
  float* in = gate_up.mutable_data_ptr<float>();
  const auto* grad = da.const_data_ptr<float>();
  at::parallel_for(0, rows, row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      row_geglu_backward(in + row * 2 * width, grad + row * width, width, formula);
    }
  });
}

}  // namespace llmctl
