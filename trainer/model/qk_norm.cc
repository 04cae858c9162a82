#include "trainer/model/qk_norm.h"

namespace llmctl {

// [T, count, D], a view: the heads from `first` on.
static at::Tensor heads_of(const at::Tensor& rows,
                           const AttentionShape& s,
                           int64_t first,
                           int64_t count) {
  return rows.view({rows.size(0), -1, s.head_dim}).narrow(1, first, count);
}

QkNorm::QkNorm(const BlockTensors& weights,
               const BlockTensors& gradients,
               const ModelConfig& config)
    : q_(weights.q_norm, gradients.q_norm, config), k_(weights.k_norm, gradients.k_norm, config) {}

void QkNorm::forward(at::Tensor& qkv, const AttentionShape& shape, Saved& saved) const {
  const auto normalize = [&](const Norm& norm, int64_t first, int64_t count, at::Tensor& kept) {
    const at::Tensor heads = heads_of(qkv, shape, first, count);
    kept = heads.reshape({-1, shape.head_dim});
    const Normed normed = norm.forward(kept);
    heads.copy_(normed.y.view(heads.sizes()));
    return normed.statistics;
  };
  saved.q_statistics = normalize(q_, 0, shape.heads, saved.q);
  saved.k_statistics = normalize(k_, shape.heads, shape.kv_heads, saved.k);
}

void QkNorm::backward(at::Tensor& dqkv, const AttentionShape& shape, const Saved& saved) {
  const auto through = [&](Norm& norm, int64_t first, int64_t count, const at::Tensor& kept,
                           const at::Tensor& statistics) {
    const at::Tensor heads = heads_of(dqkv, shape, first, count);
    const at::Tensor dy = heads.reshape({-1, shape.head_dim});
    at::Tensor dx = at::zeros_like(kept);
    norm.backward(dy, kept, statistics, dx);
    heads.copy_(dx.view(heads.sizes()));
  };
  through(q_, 0, shape.heads, saved.q, saved.q_statistics);
  through(k_, shape.heads, shape.kv_heads, saved.k, saved.k_statistics);
}

}  // namespace llmctl
