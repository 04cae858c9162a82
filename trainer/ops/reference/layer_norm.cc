// Sums and products of 16-bit rows are made in fp32 and rounded once; fp32 itself is not copied.
#include "trainer/ops/reference/operators.h"

namespace llmctl::reference {
namespace {

struct Unit {
  at::Tensor rows, r;  // (x - mean) * r, a new tensor, and r [T, 1]
};
Unit unit_rows(const at::Tensor& x, const at::Tensor& statistics) {
  const at::Tensor r = statistics.narrow(1, 1, 1);
  return {at::sub(x, statistics.narrow(1, 0, 1)).mul_(r), r};
}

at::Tensor recompute(const at::Tensor& x, const at::Tensor& statistics, const NormTensors& w) {
  return unit_rows(x, statistics).rows.mul_(w.weight).add_(w.bias).to(x.scalar_type());
}

Normed forward(const at::Tensor& x, const at::Tensor& delta, const NormTensors& w, double eps) {
  if (delta.defined()) x.add_(delta);
  // LibTorch's fused norm is for CUDA; of 16-bit rows it takes no fp32 weights.
  if (x.is_cuda()) {
    const bool same = x.scalar_type() == w.weight.scalar_type();
    const auto [y, mean, r] =
        same ? at::native_layer_norm(x, w.weight.sizes(), w.weight, w.bias, eps)
             : at::native_layer_norm(x, w.weight.sizes(), /*weight=*/{}, /*bias=*/{}, eps);
    const at::Tensor statistics = at::cat({mean, r}, 1).to(at::kFloat);
    return {same ? y : recompute(x, statistics, w), statistics};
  }
  const at::Tensor mean = x.mean(1, /*keepdim=*/true, at::kFloat);
  const at::Tensor variance = at::sub(x, mean).square_().mean(1, /*keepdim=*/true);
  const at::Tensor statistics = at::cat({mean, variance.add_(eps).rsqrt_()}, 1);
  return {recompute(x, statistics, w), statistics};
}

void backward(const at::Tensor& dy,
              const at::Tensor& x,
              const at::Tensor& statistics,
              const at::Tensor& weight,
              at::Tensor& dx,
              NormTensors& dw) {
  const auto [unit, r] = unit_rows(x, statistics);
  dw.weight.add_(at::mul(dy, unit).sum(0));
  dw.bias.add_(dy.sum(0, /*keepdim=*/false, at::kFloat));
  at::Tensor dunit = at::mul(dy.to(at::kFloat), weight);
  const at::Tensor along = at::mul(dunit, unit).mean(1, /*keepdim=*/true);
  const at::Tensor mean = dunit.mean(1, /*keepdim=*/true);
  dx.add_(dunit.sub_(mean).addcmul_(unit, along, -1).mul_(r));
}

}  // namespace

const LayerNorm layer_norm = {forward, recompute, backward};

}  // namespace llmctl::reference
