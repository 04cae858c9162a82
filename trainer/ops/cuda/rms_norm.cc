#include "trainer/ops/cuda/operators.h"

#include <algorithm>

#include "trainer/ops/cuda/kernels/norm_rows.h"
#include "trainer/ops/cuda/run_kernel.h"

namespace llmctl::cuda {
namespace {

Normed forward(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& w, double eps) {
  const int64_t rows = x.size(0), width = x.size(1);
  Normed out = {at::empty_like(x), at::empty({rows}, x.options().dtype(at::kFloat))};
  with_number(x.scalar_type(), [&](auto number) {
    using Number = decltype(number);
    const Number* added = delta.defined() ? from<Number>(delta) : nullptr;
    run_rows(x,
             kernels::RmsNorm<Number>{to<Number>(x), added, from<float>(w), to<Number>(out.y),
                                      to<float>(out.statistics), width, static_cast<float>(eps)},
             rows, width);
  });
  return out;
}

at::Tensor recompute(const at::Tensor& x, const at::Tensor& statistics, const at::Tensor& w) {
  at::Tensor y = at::empty_like(x);
  with_number(x.scalar_type(), [&](auto number) {
    using Number = decltype(number);
    run_rows(x,
             kernels::RecomputeRmsNorm<Number>{from<Number>(x), from<float>(statistics),
                                               from<float>(w), to<Number>(y), x.size(1)},
             x.size(0), x.size(1));
  });
  return y;
}

void backward(const at::Tensor& dy,
              const at::Tensor& x,
              const at::Tensor& statistics,
              const at::Tensor& w,
              at::Tensor& dx,
              at::Tensor& dw) {
  constexpr int64_t kMostParts = 512;
  const int64_t rows = x.size(0), width = x.size(1), parts = std::min(rows, kMostParts);
  const at::Tensor sums = at::zeros({parts, width}, x.options().dtype(at::kFloat));
  with_number(x.scalar_type(), [&](auto number) {
    using Number = decltype(number);
    run_rows(x,
             kernels::RmsNormBackward<Number>{from<Number>(dy), from<Number>(x),
                                              from<float>(statistics), from<float>(w),
                                              to<Number>(dx), to<float>(sums), rows, width, parts},
             parts, width);
  });
  run_elements(x, kernels::AddParts{from<float>(sums), to<float>(dw), width, parts}, width);
}

}  // namespace

const RmsNorm rms_norm = {forward, recompute, backward};

}  // namespace llmctl::cuda
