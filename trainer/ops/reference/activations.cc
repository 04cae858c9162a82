#include "trainer/ops/reference/operators.h"

namespace llmctl::reference {
namespace {

struct GateUp {
  at::Tensor gate, up;  // [T, I], views
};
GateUp halves(const at::Tensor& gate_up) {
  const int64_t width = gate_up.size(1) / 2;
  return {gate_up.narrow(1, 0, width), gate_up.narrow(1, width, width)};
}

const char* name_of(MlpActivation kind) {
  return formula_of(kind) == GeluFormula::tanh ? "tanh" : "none";
}

at::Tensor forward(MlpActivation kind, const at::Tensor& up) {
  if (!is_gated(kind)) return at::gelu(up, name_of(kind));
  const auto [gate, other] = halves(up);
  if (kind == MlpActivation::swiglu) return at::silu(gate).mul_(other);
  return at::gelu(gate, name_of(kind)).mul_(other);
}

void backward(MlpActivation kind, at::Tensor& up, const at::Tensor& da) {
  if (!is_gated(kind)) {
    up.copy_(at::gelu_backward(da, up, name_of(kind)));
    return;
  }
  auto [gate, other] = halves(up);
  const at::Tensor dgate = at::mul(da, other);  // before the activation's own slope
  if (kind == MlpActivation::swiglu) {
    at::mul_out(other, da, at::silu(gate));
    at::silu_backward_out(gate, dgate, gate);
  } else {
    at::mul_out(other, da, at::gelu(gate, name_of(kind)));
    gate.copy_(at::gelu_backward(dgate, gate, name_of(kind)));
  }
}

}  // namespace

const Activation activation = {forward, backward};

}  // namespace llmctl::reference
