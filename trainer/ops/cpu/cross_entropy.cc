#include "trainer/ops/cpu/operators.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "trainer/ops/cpu/simd.h"

namespace llmctl::cpu {
namespace {

SIMD_CLONES float row_max(const float* x, int64_t width) {
  float most = x[0];
  for (int64_t i = 1; i < width; ++i) most = x[i] > most ? x[i] : most;
  return most;
}

// x becomes exp(x - shift); returns the sum.
SIMD_CLONES float row_exp(float* x, float shift, int64_t width) {
  float sum = 0;
  for (int64_t i = 0; i < width; ++i) {
    x[i] = simd_exp(x[i] - shift);
    sum += x[i];
  }
  return sum;
}

SIMD_CLONES void row_scale(float* x, float factor, int64_t width) {
  for (int64_t i = 0; i < width; ++i) x[i] *= factor;
}

void forward(at::Tensor& logits,
             const at::Tensor& label_rows,
             const at::Tensor& scale,
             at::Tensor& total) {
  const auto* labels = label_rows.const_data_ptr<int32_t>();
  const bool gradient = scale.defined();
  const float factor = gradient ? *scale.const_data_ptr<float>() : 0;
  const int64_t rows = logits.size(0), width = logits.size(1);
  float* data = logits.mutable_data_ptr<float>();
  std::vector<double> losses(static_cast<size_t>(rows));
  at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* x = data + row * width;
      if (labels[row] < 0) {
        if (gradient) std::fill_n(x, width, 0.0f);
        continue;
      }
      const float most = row_max(x, width), at_label = x[labels[row]];
      const float sum = row_exp(x, most, width);
      losses[static_cast<size_t>(row)] = std::log(static_cast<double>(sum)) + most - at_label;
      if (!gradient) continue;
      row_scale(x, factor / sum, width);
      x[labels[row]] -= factor;
    }
  });
  double sum = 0;  // in row order, whatever the number of threads
  for (const double loss : losses) sum += loss;
  *total.mutable_data_ptr<double>() += sum;
}

}  // namespace

const CrossEntropy cross_entropy = {forward};

}  // namespace llmctl::cpu
