// What stands between the two products of an MLP and its backward in place: SwiGLU and GeGLU by row
// of gate and up [rows, 2 width], GELU (by either formula) by element of [rows, width].
// The formulas are those of ops/cpu/activations.cc; made in fp32, rounded once.
#pragma once

#include "trainer/ops/cuda/kernels/lanes.h"

namespace llmctl::kernels {

struct Slope {  // of an activation at x
  float value, derivative;
};

LLMCTL_DEVICE inline Slope silu_at(float x) {
  const float sigmoid = 1.0f / (1.0f + expf(-x));
  return {x * sigmoid, sigmoid * (1.0f + x * (1.0f - sigmoid))};
}

// (1 + tanh(z)) / 2 is the sigmoid of 2 z.
LLMCTL_DEVICE inline Slope gelu_at(float x) {
  constexpr float kRoot = 0.7978845608028654f, kCubic = 0.044715f;  // sqrt(2 / pi)
  const float open = 1.0f / (1.0f + expf(-2.0f * kRoot * (x + kCubic * x * x * x)));
  return {x * open,
          open + x * open * (1.0f - open) * 2.0f * kRoot * (1.0f + 3.0f * kCubic * x * x)};
}

LLMCTL_DEVICE inline Slope erf_gelu_at(float x) {
  const float open = 0.5f * (1.0f + erff(x * 0.70710678f));
  return {x * open, open + x * 0.39894228f * expf(-0.5f * x * x)};
}

enum class Function { silu, gelu, erf_gelu };
LLMCTL_DEVICE inline Slope slope_at(Function function, float x) {
  if (function == Function::silu) return silu_at(x);
  return function == Function::gelu ? gelu_at(x) : erf_gelu_at(x);
}

template <class Number>
struct Glu {
  const Number* gate_up;
  Number* out;  // [rows, width]
  int64_t width;
  Function function;

  LLMCTL_DEVICE void operator()(int64_t row, const Lanes& l) const {
    const Number *gate = gate_up + 2 * row * width, *up = gate + width;
    for (int64_t i = l.lane; i < width; i += l.lanes) {
      const float value = slope_at(function, static_cast<float>(gate[i])).value;
      out[row * width + i] = static_cast<Number>(value * static_cast<float>(up[i]));
    }
  }
};

template <class Number>
struct GluBackward {
  Number* gate_up;  // becomes its gradient
  const Number* da;
  int64_t width;
  Function function;

  LLMCTL_DEVICE void operator()(int64_t row, const Lanes& l) const {
    Number *gate = gate_up + 2 * row * width, *up = gate + width;
    for (int64_t i = l.lane; i < width; i += l.lanes) {
      const auto grad = static_cast<float>(da[row * width + i]);
      const Slope at = slope_at(function, static_cast<float>(gate[i]));
      gate[i] = static_cast<Number>(grad * static_cast<float>(up[i]) * at.derivative);
      up[i] = static_cast<Number>(grad * at.value);
    }
  }
};

template <class Number>
struct Gelu {
  const Number* up;
  Number* out;
  Function function;
  LLMCTL_DEVICE void operator()(int64_t i) const {
    out[i] = static_cast<Number>(slope_at(function, static_cast<float>(up[i])).value);
  }
};

template <class Number>
struct GeluBackward {
  Number* up;  // becomes its gradient
  const Number* da;
  Function function;
  LLMCTL_DEVICE void operator()(int64_t i) const {
    const float slope = slope_at(function, static_cast<float>(up[i])).derivative;
    up[i] = static_cast<Number>(static_cast<float>(da[i]) * slope);
  }
};

}  // namespace llmctl::kernels
