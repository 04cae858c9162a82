#include "trainer/attention.h"

#include <cmath>
#include <limits>

#include "core/result.h"

namespace llmctl {
namespace {

struct Heads {
  at::Tensor q, k, v;  // [B, heads or kv_heads, S, D], views of qkv
};

Heads split(const at::Tensor& qkv, const AttentionShape& s) {
  const at::Tensor all = qkv.view({-1, s.sequence, s.heads + 2 * s.kv_heads, s.head_dim});
  const auto part = [&](int64_t begin, int64_t heads) {
    return all.narrow(2, begin, heads).transpose(1, 2);
  };
  return {part(0, s.heads), part(s.heads, s.kv_heads), part(s.heads + s.kv_heads, s.kv_heads)};
}

// [T, heads * D] <-> [B, heads, S, D], without a copy.
at::Tensor as_heads(const at::Tensor& rows, const AttentionShape& s) {
  return rows.view({-1, s.sequence, s.heads, s.head_dim}).transpose(1, 2);
}
at::Tensor as_rows(const at::Tensor& heads, const AttentionShape& s) {
  return heads.transpose(1, 2).reshape({-1, s.heads * s.head_dim});
}

at::Tensor repeat_heads(const at::Tensor& kv, const AttentionShape& s) {
  return kv.repeat_interleave(s.heads / s.kv_heads, 1);
}
at::Tensor sum_groups(const at::Tensor& grad, const AttentionShape& s) {
  return grad.view({-1, s.kv_heads, s.heads / s.kv_heads, s.sequence, s.head_dim}).sum(2);
}

AttentionSaved manual_forward(const Heads& h, const AttentionShape& s) {
  const double scale = 1 / std::sqrt(static_cast<double>(s.head_dim));
  at::Tensor scores = at::matmul(h.q, repeat_heads(h.k, s).transpose(2, 3)).mul_(scale);
  const at::Tensor future =
      at::ones({s.sequence, s.sequence}, scores.options().dtype(at::kBool)).triu(1);
  scores.masked_fill_(future, -std::numeric_limits<double>::infinity());
  at::Tensor probabilities = at::softmax(scores, -1);
  at::Tensor out = as_rows(at::matmul(probabilities, repeat_heads(h.v, s)), s);
  return {out, probabilities};
}

AttentionGradient manual_backward(const at::Tensor& dout,
                                  const Heads& h,
                                  const at::Tensor& p,
                                  const AttentionShape& s) {
  const double scale = 1 / std::sqrt(static_cast<double>(s.head_dim));
  const at::Tensor dp = at::matmul(dout, repeat_heads(h.v, s).transpose(2, 3));
  const at::Tensor dscores = (p * (dp - (p * dp).sum(-1, /*keepdim=*/true))).mul_(scale);
  return {at::matmul(dscores, repeat_heads(h.k, s)),
          sum_groups(at::matmul(dscores.transpose(2, 3), h.q), s),
          sum_groups(at::matmul(p.transpose(2, 3), dout), s)};
}

// LibTorch's memory-efficient attention: every head needs its own keys and values.
AttentionSaved cuda_forward(const Heads& h, const AttentionShape& s) {
  const bool grouped = s.kv_heads != s.heads;
  const auto [out, log_sum_exp, seed, offset] = at::_scaled_dot_product_efficient_attention(
      h.q, grouped ? repeat_heads(h.k, s) : h.k, grouped ? repeat_heads(h.v, s) : h.v,
      /*attn_bias=*/{}, /*compute_log_sumexp=*/true, /*dropout_p=*/0.0, /*is_causal=*/true);
  return {as_rows(out, s), log_sum_exp};
}

AttentionGradient cuda_backward(const at::Tensor& dout,
                                const Heads& h,
                                const AttentionSaved& saved,
                                const AttentionShape& s) {
  const bool grouped = s.kv_heads != s.heads;
  const at::Tensor no_dropout = at::empty({}, at::kLong);  // where its random state would be
  const auto [dq, dk, dv, dbias] = at::_scaled_dot_product_efficient_attention_backward(
      dout, h.q, grouped ? repeat_heads(h.k, s) : h.k, grouped ? repeat_heads(h.v, s) : h.v,
      /*attn_bias=*/{}, as_heads(saved.out, s), saved.weights, no_dropout, no_dropout,
      /*dropout_p=*/0.0, /*grad_input_mask=*/{true, true, true, false}, /*is_causal=*/true);
  if (!grouped) return {dq, dk, dv};
  return {dq, sum_groups(dk, s), sum_groups(dv, s)};
}

enum class Operator { manual, cpu, cuda };
Operator operator_for(const at::Tensor& qkv, const AttentionShape& shape, AttentionKind kind) {
  if (kind == AttentionKind::manual) return Operator::manual;
  if (qkv.is_cpu()) return Operator::cpu;
  // Its fp32 kernels load four numbers at a time.
  return qkv.is_cuda() && shape.head_dim % 4 == 0 ? Operator::cuda : Operator::manual;
}

}  // namespace

AttentionKind attention_kind(std::string_view name) {
  CHECK(name == "sdpa" || name == "manual");
  return name == "sdpa" ? AttentionKind::sdpa : AttentionKind::manual;
}

AttentionSaved attention(const at::Tensor& qkv, const AttentionShape& shape, AttentionKind kind) {
  const Heads h = split(qkv, shape);
  const Operator chosen = operator_for(qkv, shape, kind);
  if (chosen == Operator::manual) return manual_forward(h, shape);
  if (chosen == Operator::cuda) return cuda_forward(h, shape);
  const auto [out, log_sum_exp] = at::_scaled_dot_product_flash_attention_for_cpu(
      h.q, h.k, h.v, /*dropout_p=*/0.0, /*is_causal=*/true);
  return {as_rows(out, shape), log_sum_exp};
}

AttentionGradient attention_backward(const at::Tensor& dout,
                                     const at::Tensor& qkv,
                                     const AttentionSaved& saved,
                                     const AttentionShape& shape,
                                     AttentionKind kind) {
  const Heads h = split(qkv, shape);
  const at::Tensor grad = as_heads(dout, shape);
  const Operator chosen = operator_for(qkv, shape, kind);
  if (chosen == Operator::manual) return manual_backward(grad, h, saved.weights, shape);
  if (chosen == Operator::cuda) return cuda_backward(grad, h, saved, shape);
  const auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
      grad, h.q, h.k, h.v, as_heads(saved.out, shape), saved.weights, /*dropout_p=*/0.0,
      /*is_causal=*/true);
  return {dq, dk, dv};
}

}  // namespace llmctl
