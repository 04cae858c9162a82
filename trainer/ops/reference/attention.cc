#include "trainer/ops/reference/operators.h"

#include <limits>
#include <optional>

namespace llmctl::reference {
namespace {

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

bool has_window(const AttentionShape& s, const AttentionRule& rule) {
  return rule.window > 0 && rule.window < s.sequence;
}

// [S, S] true where a token must not look: later ones, and those before the window.
at::Tensor hidden_from(const AttentionShape& s, const AttentionRule& rule, at::Device device) {
  const at::Tensor all = at::ones({s.sequence, s.sequence}, at::device(device).dtype(at::kBool));
  const at::Tensor future = all.triu(1);
  return has_window(s, rule) ? future.logical_or_(all.tril(-rule.window)) : future;
}

AttentionSaved manual_forward(const Heads& h, const AttentionShape& s, const AttentionRule& rule) {
  at::Tensor scores = at::matmul(h.q, repeat_heads(h.k, s).transpose(2, 3)).mul_(scale_of(s, rule));
  if (rule.soft_cap > 0) scores.div_(rule.soft_cap).tanh_().mul_(rule.soft_cap);
  scores.masked_fill_(hidden_from(s, rule, scores.device()),
                      -std::numeric_limits<double>::infinity());
  at::Tensor probabilities = at::softmax(scores, -1);
  at::Tensor out = as_rows(at::matmul(probabilities, repeat_heads(h.v, s)), s);
  return {out, {probabilities}};
}

AttentionGradient manual_backward(const at::Tensor& dout,
                                  const Heads& h,
                                  const at::Tensor& p,
                                  const AttentionShape& s,
                                  const AttentionRule& rule) {
  const double scale = scale_of(s, rule);
  const at::Tensor dp = at::matmul(dout, repeat_heads(h.v, s).transpose(2, 3));
  const at::Tensor dscores = (p * (dp - (p * dp).sum(-1, /*keepdim=*/true))).mul_(scale);
  if (rule.soft_cap > 0) {
    const at::Tensor t =
        at::matmul(h.q, repeat_heads(h.k, s).transpose(2, 3)).mul_(scale / rule.soft_cap).tanh_();
    dscores.addcmul_(at::mul(t, t), dscores, -1);
  }
  return {at::matmul(dscores, repeat_heads(h.k, s)),
          sum_groups(at::matmul(dscores.transpose(2, 3), h.q), s),
          sum_groups(at::matmul(p.transpose(2, 3), dout), s)};
}

// LibTorch's flash attention for the CPU knows windows only as a mask that is added.
std::optional<at::Tensor> added_mask(const at::Tensor& qkv,
                                     const AttentionShape& s,
                                     const AttentionRule& rule) {
  if (!has_window(s, rule)) return std::nullopt;
  return at::zeros({s.sequence, s.sequence}, qkv.options())
      .masked_fill_(hidden_from(s, rule, qkv.device()), -std::numeric_limits<double>::infinity());
}

// LibTorch's memory-efficient attention: every head needs its own keys and values.
AttentionSaved cuda_forward(const Heads& h, const AttentionShape& s, const AttentionRule& rule) {
  const bool grouped = s.kv_heads != s.heads;
  const auto [out, log_sum_exp, seed, offset] = at::_scaled_dot_product_efficient_attention(
      h.q, grouped ? repeat_heads(h.k, s) : h.k, grouped ? repeat_heads(h.v, s) : h.v,
      /*attn_bias=*/{}, /*compute_log_sumexp=*/true, /*dropout_p=*/0.0, /*is_causal=*/true,
      scale_for_libtorch(rule));
  return {as_rows(out, s), {log_sum_exp}};
}

AttentionGradient cuda_backward(const at::Tensor& dout,
                                const Heads& h,
                                const AttentionSaved& saved,
                                const AttentionShape& s,
                                const AttentionRule& rule) {
  const bool grouped = s.kv_heads != s.heads;
  const at::Tensor no_dropout = at::empty({}, at::kLong);  // where its random state would be
  const auto [dq, dk, dv, dbias] = at::_scaled_dot_product_efficient_attention_backward(
      dout, h.q, grouped ? repeat_heads(h.k, s) : h.k, grouped ? repeat_heads(h.v, s) : h.v,
      /*attn_bias=*/{}, as_heads(saved.out, s), saved.weights[0], no_dropout, no_dropout,
      /*dropout_p=*/0.0, /*grad_input_mask=*/{true, true, true, false}, /*is_causal=*/true,
      scale_for_libtorch(rule));
  if (!grouped) return {dq, dk, dv};
  return {dq, sum_groups(dk, s), sum_groups(dv, s)};
}

enum class Operator { manual, cpu, cuda };
Operator operator_for(const at::Tensor& qkv,
                      const AttentionShape& shape,
                      const AttentionRule& rule) {
  if (rule.kind == AttentionKind::manual || rule.soft_cap > 0) return Operator::manual;
  if (qkv.is_cpu()) return Operator::cpu;
  constexpr int64_t kLoad = 16;  // bytes: its kernels take so many at a time
  const bool aligned = shape.head_dim * qkv.element_size() % kLoad == 0;
  const bool fits = qkv.is_cuda() && aligned && !has_window(shape, rule);
  return fits ? Operator::cuda : Operator::manual;
}

AttentionSaved forward_of_sequences(const at::Tensor& qkv,
                                    const AttentionShape& shape,
                                    const AttentionRule& rule) {
  const Heads h = heads_of(qkv, shape);
  const Operator chosen = operator_for(qkv, shape, rule);
  if (chosen == Operator::manual) return manual_forward(h, shape, rule);
  if (chosen == Operator::cuda) return cuda_forward(h, shape, rule);
  const std::optional<at::Tensor> mask = added_mask(qkv, shape, rule);
  const auto [out, log_sum_exp] = at::_scaled_dot_product_flash_attention_for_cpu(
      h.q, h.k, h.v, /*dropout_p=*/0.0, /*is_causal=*/!mask, mask, scale_for_libtorch(rule));
  return {as_rows(out, shape), {log_sum_exp}};
}

AttentionGradient backward_of_sequences(const at::Tensor& dout,
                                        const at::Tensor& qkv,
                                        const AttentionSaved& saved,
                                        const AttentionShape& shape,
                                        const AttentionRule& rule) {
  const Heads h = heads_of(qkv, shape);
  const at::Tensor grad = as_heads(dout, shape);
  const Operator chosen = operator_for(qkv, shape, rule);
  if (chosen == Operator::manual) return manual_backward(grad, h, saved.weights[0], shape, rule);
  if (chosen == Operator::cuda) return cuda_backward(grad, h, saved, shape, rule);
  const std::optional<at::Tensor> mask = added_mask(qkv, shape, rule);
  const auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
      grad, h.q, h.k, h.v, as_heads(saved.out, shape), saved.weights[0], /*dropout_p=*/0.0,
      /*is_causal=*/!mask, mask, scale_for_libtorch(rule));
  return {dq, dk, dv};
}

AttentionShape shape_of(const Document& d, const AttentionShape& s) {
  return {d.length, s.heads, s.kv_heads, s.head_dim};
}

bool takes(const at::Tensor&, const AttentionShape&, const AttentionRule&) {
  return true;
}

AttentionSaved forward(const at::Tensor& qkv,
                       const AttentionShape& shape,
                       const AttentionRule& rule) {
  if (shape.document_starts.empty()) return forward_of_sequences(qkv, shape, rule);
  AttentionSaved all = {at::empty({qkv.size(0), shape.heads * shape.head_dim}, qkv.options()), {}};
  for (const Document& d : documents_of(shape, qkv.size(0))) {
    const AttentionSaved one = forward_of_sequences(d.of(qkv), shape_of(d, shape), rule);
    d.of(all.out).copy_(one.out);
    all.weights.push_back(one.weights[0]);
  }
  return all;
}

AttentionGradient backward(const at::Tensor& dout,
                           const at::Tensor& qkv,
                           const AttentionSaved& saved,
                           const AttentionShape& shape,
                           const AttentionRule& rule) {
  if (shape.document_starts.empty()) return backward_of_sequences(dout, qkv, saved, shape, rule);
  const auto empty = [&](int64_t heads) {
    return at::empty({1, heads, shape.sequence, shape.head_dim}, qkv.options());
  };
  AttentionGradient all = {empty(shape.heads), empty(shape.kv_heads), empty(shape.kv_heads)};
  const std::vector<Document> documents = documents_of(shape, qkv.size(0));
  for (size_t i = 0; i < documents.size(); ++i) {
    const Document& d = documents[i];
    const AttentionGradient one = backward_of_sequences(
        d.of(dout), d.of(qkv), {d.of(saved.out), {saved.weights[i]}}, shape_of(d, shape), rule);
    all.q.narrow(2, d.first, d.length).copy_(one.q);
    all.k.narrow(2, d.first, d.length).copy_(one.k);
    all.v.narrow(2, d.first, d.length).copy_(one.v);
  }
  return all;
}

}  // namespace

const Attention attention = {takes, forward, backward};

}  // namespace llmctl::reference
