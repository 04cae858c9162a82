#include "trainer/ops/cuda/operators.h"

#include "trainer/ops/cuda/kernels/mlp_rows.h"
#include "trainer/ops/cuda/run_kernel.h"

namespace llmctl::cuda {
namespace {

kernels::Function function_of(MlpActivation kind) {
  if (kind == MlpActivation::swiglu) return kernels::Function::silu;
  const bool erf = formula_of(kind) == GeluFormula::erf;
  return erf ? kernels::Function::erf_gelu : kernels::Function::gelu;
}

at::Tensor forward(MlpActivation kind, const at::Tensor& up) {
  const bool gated = is_gated(kind);
  const kernels::Function function = function_of(kind);
  const int64_t width = gated ? up.size(1) / 2 : up.size(1);
  at::Tensor a = at::empty({up.size(0), width}, up.options());
  with_number(up.scalar_type(), [&](auto number) {
    using Number = decltype(number);
    const Number* in = from<Number>(up);
    if (!gated) {
      return run_elements(up, kernels::Gelu<Number>{in, to<Number>(a), function}, a.numel());
    }
    run_rows(up, kernels::Glu<Number>{in, to<Number>(a), width, function}, up.size(0), width);
  });
  return a;
}

void backward(MlpActivation kind, at::Tensor& up, const at::Tensor& da) {
  const kernels::Function function = function_of(kind);
  with_number(up.scalar_type(), [&](auto number) {
    using Number = decltype(number);
    Number* rows = to<Number>(up);
    const Number* grad = from<Number>(da);
    if (!is_gated(kind)) {
      return run_elements(up, kernels::GeluBackward<Number>{rows, grad, function}, da.numel());
    }
    run_rows(up, kernels::GluBackward<Number>{rows, grad, da.size(1), function}, da.size(0),
             da.size(1));
  });
}

}  // namespace

const Activation activation = {forward, backward};

}  // namespace llmctl::cuda
