// Sums and products of 16-bit rows are made in fp32 and rounded once; fp32 itself is not copied.
#include "trainer/ops/reference/operators.h"

namespace llmctl::reference {
namespace {

at::Tensor recompute(const at::Tensor& x, const at::Tensor& statistics, const at::Tensor& w) {
  return at::mul(x, statistics.unsqueeze(1)).mul_(w).to(x.scalar_type());
}

Normed forward(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& w, double eps) {
  if (delta.defined()) x.add_(delta);
  const at::Tensor r = x.to(at::kFloat).square().mean(1).add_(eps).rsqrt_();
  return {recompute(x, r, w), r};
}

void backward(const at::Tensor& dy,
              const at::Tensor& x,
              const at::Tensor& statistics,
              const at::Tensor& w,
              at::Tensor& dx,
              at::Tensor& dw) {
  const at::Tensor r = statistics.unsqueeze(1);
  const at::Tensor unit = at::mul(x, r);
  dw.add_(at::mul(dy, unit).sum(0));
  at::Tensor dunit = at::mul(dy.to(at::kFloat), w);
  const at::Tensor mean = at::mul(dunit, unit).mean(1, /*keepdim=*/true);
  dx.add_(dunit.addcmul_(unit, mean, -1).mul_(r));
}

}  // namespace

const RmsNorm rms_norm = {forward, recompute, backward};

}  // namespace llmctl::reference
