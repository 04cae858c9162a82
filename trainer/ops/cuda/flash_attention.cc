#include "trainer/ops/cuda/operators.h"

#include <optional>

namespace llmctl::cuda {
namespace {

struct Rows {
  at::Tensor q, k, v;  // [T, heads or kv_heads, D], views of qkv
};

Rows split(const at::Tensor& qkv, const AttentionShape& s) {
  const at::Tensor all = qkv.view({qkv.size(0), -1, s.head_dim});
  return {all.narrow(1, 0, s.heads), all.narrow(1, s.heads, s.kv_heads),
          all.narrow(1, s.heads + s.kv_heads, s.kv_heads)};
}

// LibTorch counts the tokens before the own one.
std::optional<int64_t> window_before(const AttentionRule& rule) {
  return rule.window > 0 ? std::optional(rule.window - 1) : std::nullopt;
}
std::optional<int64_t> window_behind(const AttentionRule& rule) {
  return rule.window > 0 ? std::optional<int64_t>(0) : std::nullopt;
}

bool takes(const at::Tensor& qkv, const AttentionShape& shape, const AttentionRule& rule) {
  constexpr int64_t kHeadMultiple = 8, kMostHead = 256;
  return rule.kind == AttentionKind::flash && qkv.is_cuda() && qkv.scalar_type() != at::kFloat &&
         rule.soft_cap <= 0 && shape.head_dim % kHeadMultiple == 0 && shape.head_dim <= kMostHead;
}

AttentionSaved forward(const at::Tensor& qkv,
                       const AttentionShape& shape,
                       const AttentionRule& rule) {
  const Boundaries& at = shape.boundaries;
  CHECK(at.rows.defined());
  const Rows r = split(qkv, shape);
  const auto [out, log_sum_exp, random, unused, mask] = at::_flash_attention_forward(
      r.q, r.k, r.v, at.rows, at.rows, at.longest, at.longest, /*dropout_p=*/0.0,
      /*is_causal=*/true, /*return_debug_mask=*/false, scale_for_libtorch(rule),
      window_before(rule), window_behind(rule));
  return {out.view({qkv.size(0), -1}), {log_sum_exp, random, unused}};
}

AttentionGradient backward(const at::Tensor& dout,
                           const at::Tensor& qkv,
                           const AttentionSaved& saved,
                           const AttentionShape& shape,
                           const AttentionRule& rule) {
  const Boundaries& at = shape.boundaries;
  const Rows r = split(qkv, shape);
  const std::vector<int64_t> heads = {qkv.size(0), shape.heads, shape.head_dim};
  const auto [dq, dk, dv] = at::_flash_attention_backward(
      dout.view(heads), r.q, r.k, r.v, saved.out.view(heads), saved.weights[0], at.rows, at.rows,
      at.longest, at.longest, /*dropout_p=*/0.0, /*is_causal=*/true, saved.weights[1],
      saved.weights[2], scale_for_libtorch(rule), window_before(rule), window_behind(rule));
  const auto by_head = [&](const at::Tensor& grad) {
    return grad.view({-1, shape.sequence, grad.size(1), shape.head_dim}).transpose(1, 2);
  };
  return {by_head(dq), by_head(dk), by_head(dv)};
}

}  // namespace

const Attention attention = {takes, forward, backward};

}  // namespace llmctl::cuda
