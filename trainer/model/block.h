// One decoder block, forward and backward written out: norm, grouped-query attention, norm, MLP,
// each option of model_config.h where it belongs. Saved holds exactly what backward cannot compute
// again by an elementwise pass; backward overwrites it. The block owns no memory: its weights and
// gradients are views. One thread calls it.
#pragma once

#include "core/model/model_config.h"
#include "trainer/model/norm.h"
#include "trainer/model/qk_norm.h"
#include "trainer/ops/attention.h"
#include "trainer/ops/linear.h"
#include "trainer/ops/operands/mlp_activation.h"
#include "trainer/ops/operands/rotary_table.h"

namespace llmctl {

class Block {
 public:
  struct Saved {   // Llama, per token: H + row + heads*D + H + 2I floats, and three numbers per row
    at::Tensor x;  // [T, H] the residual stream that came in
    at::Tensor attention_statistics;
    QkNorm::Saved qk;
    at::Tensor qkv;  // [T, row] turned
    AttentionSaved attention;
    at::Tensor attended;  // with post norms: [T, H] before attention's
    at::Tensor attended_statistics;
    at::Tensor middle;  // [T, H] the residual stream after attention
    at::Tensor mlp_statistics;
    at::Tensor up;       // [T, 2I] gate and up, or [T, I]; undefined: backward computes it
    at::Tensor mlp_out;  // with post norms: [T, H] before the MLP's
    at::Tensor mlp_out_statistics;
  };

  Block(const BlockTensors& weights,
        const BlockTensors& gradients,
        const ModelConfig& config,
        const AttentionRule& rule);

  // x [T, H] -> the residual stream after the block, a new tensor.
  at::Tensor forward(const at::Tensor& x,
                     const AttentionShape& shape,
                     const RotaryTable& rotary,
                     Saved& saved) const;
  // Adds to the gradients; dy becomes dx in place. `saved` is overwritten and freed on the way.
  void backward(at::Tensor& dy,
                const AttentionShape& shape,
                const RotaryTable& rotary,
                Saved saved);

  // The two halves of forward() around attention, for a decoder that keeps keys and values.
  void project(const at::Tensor& x,
               const AttentionShape& shape,
               const RotaryTable& rotary,
               int64_t first_position,
               Saved& saved) const;  // x, attention_statistics, qk, qkv
  at::Tensor finish(const at::Tensor& attended, Saved& saved) const;

  const AttentionRule& rule() const { return rule_; }

 private:
  void mlp_backward(at::Tensor& dy, Saved& saved);
  void attention_backward(at::Tensor& dy,
                          const AttentionShape& shape,
                          const RotaryTable& rotary,
                          Saved& saved);

  Norm attention_norm_, mlp_norm_, attention_post_norm_, mlp_post_norm_;
  QkNorm qk_norm_;
  Linear qkv_, out_, up_, down_;
  MlpActivation activation_;
  AttentionRule rule_;
};

// Every defined tensor in it, for whoever moves them.
std::vector<at::Tensor*> tensors_of(Block::Saved& saved);

}  // namespace llmctl
