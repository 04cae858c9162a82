// Rotary position embedding (Su et al., arXiv 2104.09864) in Hugging Face's half-split layout: the
// pair (i, i + R/2) of a head is turned by position * theta^(-2i/R), where R is head_dim or the
// first part of it. In place on the q and k heads of the fused projection; the gradient is turned
// back while it is gathered into one row.
// Fused CPU kernels; tensors on another device go to trainer/ops/reference/aten.h.
#pragma once

#include "core/model/model_config.h"
#include "trainer/ops/attention.h"

namespace llmctl {

struct RotaryTable {
  at::Tensor cosine, sine;  // [positions, R/2]
  int64_t pairs() const { return cosine.size(1); }
};
RotaryTable rotary_table(int64_t positions, int64_t head_dim, double theta, at::Device device);
// As the model stretches it (rope_scaling.h); `local` is for layers with a sliding window. A model
// with learned positions turns nothing: the angles are zero.
RotaryTable rotary_table(int64_t positions,
                         const ModelConfig& config,
                         bool local,
                         at::Device device);
// The table whose row t is that of positions[t] (int32), for rows at any position.
RotaryTable rows_of(const RotaryTable& table, const at::Tensor& positions);

// Row t of qkv stands at `first_position + t mod shape.sequence`.
void rotate(at::Tensor& qkv,
            const AttentionShape& shape,
            const RotaryTable& table,
            int64_t first_position = 0);
// Writes dq, dk (turned back) and dv into the rows of dqkv [T, shape.row()].
void rotate_back(const AttentionGradient& grad,
                 const AttentionShape& shape,
                 const RotaryTable& table,
                 at::Tensor& dqkv);

}  // namespace llmctl
