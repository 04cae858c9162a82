#include <algorithm>
#include <cmath>

#include "trainer/ops/cpu/operators.h"
#include "trainer/ops/cpu/simd.h"

namespace llmctl::cpu {
namespace {

SIMD_CLONES float sum_of(const float* x, int64_t width) {
  float sum = 0;
  for (int64_t i = 0; i < width; ++i) sum += x[i];
  return sum;
}

SIMD_CLONES float sum_of_squares(const float* x, float mean, int64_t width) {
  float sum = 0;
  for (int64_t i = 0; i < width; ++i) sum += (x[i] - mean) * (x[i] - mean);
  return sum;
}

SIMD_CLONES void scale(
    const float* x, float mean, float r, const float* w, const float* b, float* y, int64_t width) {
  for (int64_t i = 0; i < width; ++i) y[i] = (x[i] - mean) * r * w[i] + b[i];
}

struct Sums {
  float gradient = 0, along = 0;  // of dy * w, and of that times the unit row
};
SIMD_CLONES Sums
sums_of(const float* dy, const float* x, float mean, float r, const float* w, int64_t width) {
  float gradient = 0, along = 0;
  for (int64_t i = 0; i < width; ++i) {
    gradient += dy[i] * w[i];
    along += dy[i] * w[i] * ((x[i] - mean) * r);
  }
  return {gradient, along};
}

struct RowGradients {
  float *dx, *dw, *db;
};
SIMD_CLONES void row_backward(const float* dy,
                              const float* x,
                              float mean,
                              float r,
                              const float* w,
                              const Sums& means,
                              const RowGradients& to,
                              int64_t width) {
  for (int64_t i = 0; i < width; ++i) {
    const float unit = (x[i] - mean) * r;
    to.dx[i] += r * (dy[i] * w[i] - means.gradient - unit * means.along);
    to.dw[i] += dy[i] * unit;
    to.db[i] += dy[i];
  }
}

Normed forward(const at::Tensor& x, const at::Tensor& delta, const NormTensors& w, double eps) {
  const int64_t rows = x.size(0), width = x.size(1);
  Normed out = {at::empty_like(x), at::empty({rows, 2}, x.options())};
  float* in = x.mutable_data_ptr<float>();  // only written to when there is a delta
  const float* added = delta.defined() ? delta.const_data_ptr<float>() : nullptr;
  auto *y = out.y.mutable_data_ptr<float>(), *stats = out.statistics.mutable_data_ptr<float>();
  const auto *weight = w.weight.const_data_ptr<float>(), *bias = w.bias.const_data_ptr<float>();
  at::parallel_for(0, rows, row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* from = in + row * width;
      if (added != nullptr) add_row(from, added + row * width, width);
      const float mean = sum_of(from, width) / static_cast<float>(width);
      const double variance = sum_of_squares(from, mean, width) / static_cast<double>(width);
      const auto r = static_cast<float>(1.0 / std::sqrt(variance + eps));
      stats[2 * row] = mean;
      stats[2 * row + 1] = r;
      scale(from, mean, r, weight, bias, y + row * width, width);
    }
  });
  return out;
}

at::Tensor recompute(const at::Tensor& x, const at::Tensor& statistics, const NormTensors& w) {
  const int64_t rows = x.size(0), width = x.size(1);
  at::Tensor out = at::empty_like(x);
  const auto *from = x.const_data_ptr<float>(), *stats = statistics.const_data_ptr<float>(),
             *weight = w.weight.const_data_ptr<float>(), *bias = w.bias.const_data_ptr<float>();
  float* y = out.mutable_data_ptr<float>();
  at::parallel_for(0, rows, row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      scale(from + row * width, stats[2 * row], stats[2 * row + 1], weight, bias, y + row * width,
            width);
    }
  });
  return out;
}

void backward(const at::Tensor& dy,
              const at::Tensor& x,
              const at::Tensor& statistics,
              const at::Tensor& weight,
              at::Tensor& dx,
              NormTensors& dw) {
  const int64_t rows = x.size(0), width = x.size(1);
  const int64_t part_rows = (rows + kRowParts - 1) / kRowParts;
  const at::Tensor parts = at::zeros({kRowParts, 2, width}, x.options());
  const auto *in = x.const_data_ptr<float>(), *stats = statistics.const_data_ptr<float>(),
             *w = weight.const_data_ptr<float>(), *grad = dy.const_data_ptr<float>();
  auto *out = dx.mutable_data_ptr<float>(), *sums = parts.mutable_data_ptr<float>();
  at::parallel_for(0, kRowParts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin * part_rows; row < std::min(rows, end * part_rows); ++row) {
      const float mean = stats[2 * row], r = stats[2 * row + 1];
      const float *g = grad + row * width, *from = in + row * width;
      float* part = sums + row / part_rows * 2 * width;
      Sums means = sums_of(g, from, mean, r, w, width);
      means.gradient /= static_cast<float>(width);
      means.along /= static_cast<float>(width);
      row_backward(g, from, mean, r, w, means, {out + row * width, part, part + width}, width);
    }
  });
  for (int64_t part = 0; part < kRowParts; ++part) {
    add_row(dw.weight.mutable_data_ptr<float>(), sums + part * 2 * width, width);
    add_row(dw.bias.mutable_data_ptr<float>(), sums + (part * 2 + 1) * width, width);
  }
}

}  // namespace

const LayerNorm layer_norm = {forward, recompute, backward};

}  // namespace llmctl::cpu
