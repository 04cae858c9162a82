#include "trainer/gelu.h"

#include <algorithm>

#include "trainer/aten.h"
#include "trainer/own_kernels.h"
#include "trainer/simd.h"

namespace llmctl {
namespace {

constexpr int64_t kGrain = 8'192;                                 // elements worth a thread
constexpr float kRoot = 0.7978845608028654f, kCubic = 0.044715f;  // sqrt(2 / pi)

// (1 + tanh(z)) / 2 is the sigmoid of 2 z.
[[gnu::always_inline]] inline float gate_of(float x) {
  return 1.0f / (1.0f + simd_exp(-2.0f * kRoot * (x + kCubic * x * x * x)));
}
[[gnu::always_inline]] inline float slope_of(float x, float gate) {
  return gate + x * gate * (1.0f - gate) * 2.0f * kRoot * (1.0f + 3.0f * kCubic * x * x);
}

SIMD_CLONES void row_gelu(const float* up, float* a, int64_t width) {
  for (int64_t i = 0; i < width; ++i) a[i] = up[i] * gate_of(up[i]);
}

SIMD_CLONES void row_gelu_backward(float* up, const float* da, int64_t width) {
  for (int64_t i = 0; i < width; ++i) up[i] = da[i] * slope_of(up[i], gate_of(up[i]));
}

SIMD_CLONES void row_geglu(const float* gate, const float* up, float* a, int64_t width) {
  for (int64_t i = 0; i < width; ++i) a[i] = gate[i] * gate_of(gate[i]) * up[i];
}

SIMD_CLONES void row_geglu_backward(float* gate, float* up, const float* da, int64_t width) {
  for (int64_t i = 0; i < width; ++i) {
    const float g = gate[i], u = up[i], open = gate_of(g);
    up[i] = da[i] * g * open;
    gate[i] = da[i] * u * slope_of(g, open);
  }
}

int64_t row_grain(int64_t width) {
  return std::max<int64_t>(1, kGrain / width);
}

}  // namespace

at::Tensor gelu(const at::Tensor& up) {
  if (own::take(up)) return own::activate(MlpActivation::gelu, up);
  if (!fits_cpu_kernels(up)) return aten::gelu(up);
  const int64_t rows = up.size(0), width = up.size(1);
  at::Tensor out = at::empty_like(up);
  const auto* in = up.const_data_ptr<float>();
  float* a = out.mutable_data_ptr<float>();
  at::parallel_for(0, rows, row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) row_gelu(in + row * width, a + row * width, width);
  });
  return out;
}

void gelu_backward(at::Tensor& up, const at::Tensor& da) {
  if (own::take(up)) return own::activate_backward(MlpActivation::gelu, up, da);
  if (!fits_cpu_kernels(up)) return aten::gelu_backward(up, da);
  const int64_t rows = up.size(0), width = up.size(1);
  float* in = up.mutable_data_ptr<float>();
  const auto* grad = da.const_data_ptr<float>();
  at::parallel_for(0, rows, row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      row_gelu_backward(in + row * width, grad + row * width, width);
    }
  });
}

at::Tensor geglu(const at::Tensor& gate_up) {
  if (own::take(gate_up)) return own::activate(MlpActivation::geglu, gate_up);
  if (!fits_cpu_kernels(gate_up)) return aten::geglu(gate_up);
  const int64_t rows = gate_up.size(0), width = gate_up.size(1) / 2;
  at::Tensor out = at::empty({rows, width}, gate_up.options());
  const auto* in = gate_up.const_data_ptr<float>();
  float* a = out.mutable_data_ptr<float>();
  at::parallel_for(0, rows, row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* gate = in + row * 2 * width;
      row_geglu(gate, gate + width, a + row * width, width);
    }
  });
  return out;
}

void geglu_backward(at::Tensor& gate_up, const at::Tensor& da) {
  if (own::take(gate_up)) return own::activate_backward(MlpActivation::geglu, gate_up, da);
  if (!fits_cpu_kernels(gate_up)) return aten::geglu_backward(gate_up, da);
  const int64_t rows = gate_up.size(0), width = gate_up.size(1) / 2;
  float* in = gate_up.mutable_data_ptr<float>();
  const auto* grad = da.const_data_ptr<float>();
  at::parallel_for(0, rows, row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* gate = in + row * 2 * width;
      row_geglu_backward(gate, gate + width, grad + row * width, width);
    }
  });
}

}  // namespace llmctl
