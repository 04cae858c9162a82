#include "trainer/ops/reference/operators.h"

namespace llmctl::reference {
namespace {

struct Angles {
  at::Tensor cosine, sine;  // [S, 1, D/2], views
};
Angles angles_at(const RotaryTable& table, int64_t first, int64_t positions) {
  return {table.cosine.narrow(0, first, positions).unsqueeze(1),
          table.sine.narrow(0, first, positions).unsqueeze(1)};
}

void forward(at::Tensor& qkv,
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

void backward(const AttentionGradient& grad,
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

}  // namespace

const Rotary rotary = {forward, backward};

}  // namespace llmctl::reference
