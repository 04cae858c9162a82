#include "trainer/ops/cuda/operators.h"

#include "trainer/ops/cuda/kernels/rotary_elements.h"
#include "trainer/ops/cuda/run_kernel.h"

namespace llmctl::cuda {
namespace {

kernels::Angles angles_of(const RotaryTable& table) {
  return {from<float>(table.cosine), from<float>(table.sine)};
}

void forward(at::Tensor& qkv,
             const AttentionShape& s,
             const RotaryTable& table,
             int64_t first_position) {
  const int64_t half = table.pairs(), turned = s.heads + s.kv_heads;
  with_number(qkv.scalar_type(), [&](auto number) {
    using Number = decltype(number);
    run_elements(qkv,
                 kernels::Rotate<Number>{to<Number>(qkv), angles_of(table), s.sequence,
                                         first_position, s.row(), turned, s.head_dim, half},
                 qkv.size(0) * turned * half);
  });
}

void backward(const AttentionGradient& grad,
              const AttentionShape& s,
              const RotaryTable& table,
              at::Tensor& dqkv) {
  const at::ScalarType type = dqkv.scalar_type();
  const at::Tensor q = grad.q.to(type), k = grad.k.to(type), v = grad.v.to(type);
  with_number(type, [&](auto number) {
    using Number = decltype(number);
    const auto heads = [](const at::Tensor& t) {
      CHECK(t.stride(3) == 1);
      return kernels::HeadGradient<Number>{t.const_data_ptr<Number>(), t.stride(0), t.stride(1),
                                           t.stride(2)};
    };
    run_elements(dqkv,
                 kernels::RotateBack<Number>{heads(q), heads(k), heads(v), to<Number>(dqkv),
                                             angles_of(table), s.sequence, s.heads, s.kv_heads,
                                             s.head_dim, table.pairs()},
                 dqkv.size(0) * (s.heads + 2 * s.kv_heads) * (s.head_dim / 2));
  });
}

}  // namespace

const Rotary rotary = {forward, backward};

}  // namespace llmctl::cuda
