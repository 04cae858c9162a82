#include "trainer/ops/swiglu.h"

#include <algorithm>

#include "trainer/ops/cpu/simd.h"
#include "trainer/ops/cuda/cuda_operators.h"
#include "trainer/ops/reference/aten.h"

namespace llmctl {
namespace {

SIMD_CLONES void row_forward(const float* gate, const float* up, float* a, int64_t width) {
  for (int64_t i = 0; i < width; ++i) a[i] = gate[i] * up[i] / (1.0f + simd_exp(-gate[i]));
}

SIMD_CLONES void row_backward(float* gate, float* up, const float* da, int64_t width) {
  for (int64_t i = 0; i < width; ++i) {
    const float g = gate[i], u = up[i];
    const float sigmoid = 1.0f / (1.0f + simd_exp(-g));
    up[i] = da[i] * g * sigmoid;
    gate[i] = da[i] * u * sigmoid * (1.0f + g * (1.0f - sigmoid));
  }
}

}  // namespace

at::Tensor swiglu(const at::Tensor& gate_up) {
  if (own::take(gate_up)) return own::activate(MlpActivation::swiglu, gate_up);
  if (!fits_cpu_kernels(gate_up)) return aten::swiglu(gate_up);
  const int64_t rows = gate_up.size(0), width = gate_up.size(1) / 2;
  at::Tensor out = at::empty({rows, width}, gate_up.options());
  const auto* in = gate_up.const_data_ptr<float>();
  float* a = out.mutable_data_ptr<float>();
  at::parallel_for(0, rows, row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* gate = in + row * 2 * width;
      row_forward(gate, gate + width, a + row * width, width);
    }
  });
  return out;
}

void swiglu_backward(at::Tensor& gate_up, const at::Tensor& da) {
  if (own::take(gate_up)) return own::activate_backward(MlpActivation::swiglu, gate_up, da);
  if (!fits_cpu_kernels(gate_up)) return aten::swiglu_backward(gate_up, da);
  const int64_t rows = gate_up.size(0), width = gate_up.size(1) / 2;
  float* in = gate_up.mutable_data_ptr<float>();
  const auto* grad = da.const_data_ptr<float>();
  at::parallel_for(0, rows, row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* gate = in + row * 2 * width;
      row_backward(gate, gate + width, grad + row * width, width);
    }
  });
}

}  // namespace llmctl
