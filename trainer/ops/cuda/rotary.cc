#include "trainer/ops/cuda/operators.h"

#include <limits>

#include "trainer/ops/cuda/kernels/rotary_rows.h"
#include "trainer/ops/cuda/run_kernel.h"

namespace llmctl::cuda {
namespace {

// Of a row: the rows that config checks allow have far fewer numbers.
int32_t as_int32(int64_t count) {
  CHECK(count >= 0 && count <= std::numeric_limits<int32_t>::max());
  return static_cast<int32_t>(count);
}

kernels::Angles angles_of(const RotaryTable& table) {
  return {from<float>(table.cosine), from<float>(table.sine)};
}

void forward(at::Tensor& qkv,
             const AttentionShape& s,
             const RotaryTable& table,
             int64_t first_position) {
  const int32_t half = as_int32(table.pairs()), turned = as_int32(s.heads + s.kv_heads);
  with_number(qkv.scalar_type(), [&](auto number) {
    using Number = decltype(number);
    run_rows(qkv,
             kernels::Rotate<Number>{to<Number>(qkv), angles_of(table), s.sequence, first_position,
                                     s.row(), turned, as_int32(s.head_dim), half},
             qkv.size(0), turned * half);
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
    run_rows(dqkv,
             kernels::RotateBack<Number>{heads(q), heads(k), heads(v), to<Number>(dqkv),
                                         angles_of(table), s.sequence, as_int32(s.heads),
                                         as_int32(s.kv_heads), as_int32(s.head_dim),
                                         as_int32(table.pairs())},
             dqkv.size(0), s.row() / 2);
  });
}

}  // namespace

const Rotary rotary = {forward, backward};

}  // namespace llmctl::cuda
