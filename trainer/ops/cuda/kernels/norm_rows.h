// RMS norm of a row, with the residual added first where there is one, and its backward. Numbers
// are float, bfloat16 or half; weights and sums are fp32, and what is written is rounded once.
#pragma once

#include "trainer/ops/cuda/kernels/lanes.h"

namespace llmctl::kernels {

template <class Number>
struct RmsNorm {
  Number* x;            // [rows, width]; changes only with a delta
  const Number* delta;  // added to x first; nullptr: none
  const float* weight;
  Number* y;
  float* statistics;  // [rows]: 1 / root mean square
  int64_t width;
  float eps;

  LLMCTL_DEVICE void operator()(int64_t row, const Lanes& l) const {
    Number* from = x + row * width;
    float squares = 0;
    for (int64_t i = l.lane; i < width; i += l.lanes) {
      if (delta != nullptr) {
        from[i] = static_cast<Number>(static_cast<float>(from[i]) +
                                      static_cast<float>(delta[row * width + i]));
      }
      const auto value = static_cast<float>(from[i]);
      squares += value * value;
    }
    const float r = 1.0f / sqrtf(l.sum(squares) / static_cast<float>(width) + eps);
    if (l.lane == 0) statistics[row] = r;
    for (int64_t i = l.lane; i < width; i += l.lanes) {
      y[row * width + i] = static_cast<Number>(static_cast<float>(from[i]) * r * weight[i]);
    }
  }
};

template <class Number>
struct RecomputeRmsNorm {
  const Number* x;
  const float* statistics;
  const float* weight;
  Number* y;
  int64_t width;

  LLMCTL_DEVICE void operator()(int64_t row, const Lanes& l) const {
    for (int64_t i = l.lane; i < width; i += l.lanes) {
      const int64_t at = row * width + i;
      y[at] = static_cast<Number>(static_cast<float>(x[at]) * statistics[row] * weight[i]);
    }
  }
};

// A "row" of this one is a part: the rows part, part + parts, … one after the other, whose share of
// the weight's gradient is summed in a row of its own. So sums have one order on every device.
template <class Number>
struct RmsNormBackward {
  const Number* dy;
  const Number* x;
  const float* statistics;
  const float* weight;
  Number* dx;   // added to
  float* sums;  // [parts, width], zero at first
  int64_t rows, width, parts;

  LLMCTL_DEVICE void operator()(int64_t part, const Lanes& l) const {
    for (int64_t row = part; row < rows; row += parts) one_row(row, sums + part * width, l);
  }

 private:
  LLMCTL_DEVICE void one_row(int64_t row, float* sum, const Lanes& l) const {
    const Number *grad = dy + row * width, *from = x + row * width;
    const float r = statistics[row];
    float dot = 0;
    for (int64_t i = l.lane; i < width; i += l.lanes) {
      dot += static_cast<float>(grad[i]) * weight[i] * static_cast<float>(from[i]);
    }
    const float along = l.sum(dot) * r * r / static_cast<float>(width);
    Number* to = dx + row * width;
    for (int64_t i = l.lane; i < width; i += l.lanes) {
      const auto g = static_cast<float>(grad[i]), value = static_cast<float>(from[i]);
      const float change = r * (g * weight[i] - value * along);
      to[i] = static_cast<Number>(static_cast<float>(to[i]) + change);
      sum[i] += g * value * r;
    }
  }
};

struct AddParts {  // of RmsNormBackward's sums; an element is a column
  const float* sums;
  float* total;  // [width], added to
  int64_t width, parts;

  LLMCTL_DEVICE void operator()(int64_t i) const {
    float sum = total[i];
    for (int64_t part = 0; part < parts; ++part) sum += sums[part * width + i];
    total[i] = sum;
  }
};

}  // namespace llmctl::kernels
