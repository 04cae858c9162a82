#include <algorithm>
#include <cmath>

#include "trainer/ops/cpu/operators.h"
#include "trainer/ops/cpu/simd.h"

namespace llmctl::cpu {
namespace {

SIMD_CLONES float row_squares(const float* x, int64_t width) {
  float sum = 0;
  for (int64_t i = 0; i < width; ++i) sum += x[i] * x[i];
  return sum;
}

SIMD_CLONES void scale(const float* x, float r, const float* w, float* y, int64_t width) {
  for (int64_t i = 0; i < width; ++i) y[i] = x[i] * r * w[i];
}

SIMD_CLONES void row_backward(
    const float* dy, const float* x, float r, const float* w, float* dx, float* dw, int64_t width) {
  float dot = 0;
  for (int64_t i = 0; i < width; ++i) dot += dy[i] * w[i] * x[i];
  const float c = dot * r * r / static_cast<float>(width);
  for (int64_t i = 0; i < width; ++i) {
    dx[i] += r * (dy[i] * w[i] - x[i] * c);
    dw[i] += dy[i] * x[i] * r;
  }
}

Normed forward(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& w, double eps) {
  const int64_t rows = x.size(0), width = x.size(1);
  Normed out = {at::empty_like(x), at::empty({rows}, x.options())};
  float* in = x.mutable_data_ptr<float>();  // only written to when there is a delta
  const float* added = delta.defined() ? delta.const_data_ptr<float>() : nullptr;
  float* y = out.y.mutable_data_ptr<float>();
  float* statistics = out.statistics.mutable_data_ptr<float>();
  const auto* weight = w.const_data_ptr<float>();
  at::parallel_for(0, rows, row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* from = in + row * width;
      if (added != nullptr) add_row(from, added + row * width, width);
      const double mean = row_squares(from, width) / static_cast<double>(width);
      statistics[row] = static_cast<float>(1.0 / std::sqrt(mean + eps));
      scale(from, statistics[row], weight, y + row * width, width);
    }
  });
  return out;
}

at::Tensor recompute(const at::Tensor& x, const at::Tensor& statistics, const at::Tensor& w) {
  const int64_t rows = x.size(0), width = x.size(1);
  at::Tensor out = at::empty_like(x);
  const auto *from = x.const_data_ptr<float>(), *r = statistics.const_data_ptr<float>(),
             *weight = w.const_data_ptr<float>();
  float* y = out.mutable_data_ptr<float>();
  at::parallel_for(0, rows, row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      scale(from + row * width, r[row], weight, y + row * width, width);
    }
  });
  return out;
}

void backward(const at::Tensor& dy,
              const at::Tensor& x,
              const at::Tensor& statistics,
              const at::Tensor& w,
              at::Tensor& dx,
              at::Tensor& dw) {
  const int64_t rows = x.size(0), width = x.size(1);
  const int64_t part_rows = (rows + kRowParts - 1) / kRowParts;
  const at::Tensor parts = at::zeros({kRowParts, width}, x.options());
  const auto *in = x.const_data_ptr<float>(), *r = statistics.const_data_ptr<float>(),
             *weight = w.const_data_ptr<float>(), *grad = dy.const_data_ptr<float>();
  auto *out = dx.mutable_data_ptr<float>(), *sums = parts.mutable_data_ptr<float>();
  at::parallel_for(0, kRowParts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin * part_rows; row < std::min(rows, end * part_rows); ++row) {
      row_backward(grad + row * width, in + row * width, r[row], weight, out + row * width,
                   sums + row / part_rows * width, width);
    }
  });
  for (int64_t part = 0; part < kRowParts; ++part) {
    add_row(dw.mutable_data_ptr<float>(), sums + part * width, width);
  }
}

}  // namespace

const RmsNorm rms_norm = {forward, recompute, backward};

}  // namespace llmctl::cpu
