// Inside a block: normalization, SwiGLU, rotation. (Attention chooses LibTorch's operator itself.)
#include "trainer/ops/reference/aten.h"

namespace llmctl::aten {

// Sums and products of 16-bit rows are made in fp32 and rounded once; fp32 itself is not copied.
static at::Tensor wide(const at::Tensor& t) {
  return t.to(at::kFloat);
}

Normed rms_norm(const at::Tensor& x, const at::Tensor& w, double eps) {
  const at::Tensor r = wide(x).square().mean(1).add_(eps).rsqrt_();
  return {rms_norm_again(x, r, w), r};
}

at::Tensor rms_norm_again(const at::Tensor& x, const at::Tensor& statistics, const at::Tensor& w) {
  return at::mul(x, statistics.unsqueeze(1)).mul_(w).to(x.scalar_type());
}

void rms_norm_backward(const at::Tensor& dy,
                       const at::Tensor& x,
                       const at::Tensor& statistics,
                       const at::Tensor& w,
                       at::Tensor& dx,
                       at::Tensor& dw) {
  const at::Tensor r = statistics.unsqueeze(1);
  const at::Tensor unit = at::mul(x, r);
  dw.add_(at::mul(dy, unit).sum(0));
  at::Tensor dunit = at::mul(wide(dy), w);
  const at::Tensor mean = at::mul(dunit, unit).mean(1, /*keepdim=*/true);
  dx.add_(dunit.addcmul_(unit, mean, -1).mul_(r));
}

struct Unit {
  at::Tensor rows, r;  // (x - mean) * r, a new tensor, and r [T, 1]
};
static Unit unit_rows(const at::Tensor& x, const at::Tensor& statistics) {
  const at::Tensor r = statistics.narrow(1, 1, 1);
  return {at::sub(x, statistics.narrow(1, 0, 1)).mul_(r), r};
}

at::Tensor layer_norm_again(const at::Tensor& x,
                            const at::Tensor& statistics,
                            const NormTensors& w) {
  return unit_rows(x, statistics).rows.mul_(w.weight).add_(w.bias).to(x.scalar_type());
}

Normed layer_norm(const at::Tensor& x, const NormTensors& w, double eps) {
  // LibTorch's fused norm is for CUDA, and for rows and weights of one type.
  if (x.is_cuda() && x.scalar_type() == w.weight.scalar_type()) {
    const auto [y, mean, r] = at::native_layer_norm(x, w.weight.sizes(), w.weight, w.bias, eps);
    return {y, at::cat({mean, r}, 1)};
  }
  const at::Tensor mean = x.mean(1, /*keepdim=*/true, at::kFloat);
  const at::Tensor variance = at::sub(x, mean).square_().mean(1, /*keepdim=*/true);
  const at::Tensor statistics = at::cat({mean, variance.add_(eps).rsqrt_()}, 1);
  return {layer_norm_again(x, statistics, w), statistics};
}

void layer_norm_backward(const at::Tensor& dy,
                         const at::Tensor& x,
                         const at::Tensor& statistics,
                         const at::Tensor& weight,
                         at::Tensor& dx,
                         NormTensors& dw) {
  const auto [unit, r] = unit_rows(x, statistics);
  dw.weight.add_(at::mul(dy, unit).sum(0));
  dw.bias.add_(dy.sum(0, /*keepdim=*/false, at::kFloat));
  at::Tensor dunit = at::mul(wide(dy), weight);
  const at::Tensor along = at::mul(dunit, unit).mean(1, /*keepdim=*/true);
  const at::Tensor mean = dunit.mean(1, /*keepdim=*/true);
  dx.add_(dunit.sub_(mean).addcmul_(unit, along, -1).mul_(r));
}

struct GateUp {
  at::Tensor gate, up;  // [T, I], views
};
static GateUp halves(const at::Tensor& gate_up) {
  const int64_t width = gate_up.size(1) / 2;
  return {gate_up.narrow(1, 0, width), gate_up.narrow(1, width, width)};
}

at::Tensor swiglu(const at::Tensor& gate_up) {
  const auto [gate, up] = halves(gate_up);
  return at::silu(gate).mul_(up);
}

void swiglu_backward(at::Tensor& gate_up, const at::Tensor& da) {
  auto [gate, up] = halves(gate_up);
  const at::Tensor dsilu = at::mul(da, up);
  at::mul_out(up, da, at::silu(gate));
  at::silu_backward_out(gate, dsilu, gate);
}

static const char* name_of(GeluFormula formula) {
  return formula == GeluFormula::tanh ? "tanh" : "none";
}

at::Tensor gelu(const at::Tensor& up, GeluFormula formula) {
  return at::gelu(up, name_of(formula));
}

void gelu_backward(at::Tensor& up, const at::Tensor& da, GeluFormula formula) {
  up.copy_(at::gelu_backward(da, up, name_of(formula)));
}

at::Tensor geglu(const at::Tensor& gate_up, GeluFormula formula) {
  const auto [gate, up] = halves(gate_up);
  return at::gelu(gate, name_of(formula)).mul_(up);
}

void geglu_backward(at::Tensor& gate_up, const at::Tensor& da, GeluFormula formula) {
  auto [gate, up] = halves(gate_up);
  const at::Tensor dgelu = at::mul(da, up);
  at::mul_out(up, da, at::gelu(gate, name_of(formula)));
  gate.copy_(at::gelu_backward(dgelu, gate, name_of(formula)));
}

struct Angles {
  at::Tensor cosine, sine;  // [S, 1, D/2], views
};
static Angles angles_at(const RotaryTable& table, int64_t first, int64_t positions) {
  return {table.cosine.narrow(0, first, positions).unsqueeze(1),
          table.sine.narrow(0, first, positions).unsqueeze(1)};
}

void rotate(at::Tensor& qkv,
            const AttentionShape& shape,
            const RotaryTable& table,
            int64_t first_position) {
  const int64_t half = table.pairs();
  const auto [cosine, sine] = angles_at(table, first_position, shape.sequence);
  const at::Tensor heads =
      qkv.view({-1, shape.sequence, shape.heads + 2 * shape.kv_heads, shape.head_dim})
          .narrow(2, 0, shape.heads + shape.kv_heads);
  at::Tensor a = heads.narrow(3, 0, half), b = heads.narrow(3, half, half);
  const at::Tensor turned = at::mul(a, cosine).addcmul_(b, sine, -1);
  b.mul_(cosine).addcmul_(a, sine);
  a.copy_(turned);
}

void rotate_back(const AttentionGradient& grad,
                 const AttentionShape& shape,
                 const RotaryTable& table,
                 at::Tensor& dqkv) {
  const int64_t half = table.pairs(), rest = shape.head_dim - 2 * half;
  const auto angles = angles_at(table, 0, shape.sequence);
  const at::Tensor rows =
      dqkv.view({-1, shape.sequence, shape.heads + 2 * shape.kv_heads, shape.head_dim});
  const auto turn_back = [&](const at::Tensor& heads, int64_t first) {
    const at::Tensor from = heads.transpose(1, 2);  // [B, S, heads, D]
    const at::Tensor a = from.narrow(3, 0, half), b = from.narrow(3, half, half);
    const at::Tensor to = rows.narrow(2, first, from.size(2));
    at::Tensor to_a = to.narrow(3, 0, half), to_b = to.narrow(3, half, half);
    at::mul_out(to_a, a, angles.cosine).addcmul_(b, angles.sine);
    at::mul_out(to_b, b, angles.cosine).addcmul_(a, angles.sine, -1);
    to.narrow(3, 2 * half, rest).copy_(from.narrow(3, 2 * half, rest));
  };
  turn_back(grad.q, 0);
  turn_back(grad.k, shape.heads);
  rows.narrow(2, shape.heads + shape.kv_heads, shape.kv_heads).copy_(grad.v.transpose(1, 2));
}

}  // namespace llmctl::aten
