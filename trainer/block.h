// One decoder block (Llama: RMSNorm, grouped-query attention with RoPE, SwiGLU), forward and
// backward written out. Saved holds exactly what backward cannot make again by an elementwise pass;
// it is spent by backward. The block owns no memory: its weights and gradients are views.
#pragma once

#include "core/model_config.h"
#include "trainer/attention.h"
#include "trainer/parameters.h"
#include "trainer/rope.h"

namespace llmctl {

class Block {
 public:
  struct Saved {   // per token: H + row + heads*D + H + 2I floats, and three numbers per row
    at::Tensor x;  // [T, H] the residual stream that came in
    at::Tensor attention_inverse_rms;
    at::Tensor qkv;  // [T, row] turned
    AttentionSaved attention;
    at::Tensor middle;  // [T, H] the residual stream after attention
    at::Tensor mlp_inverse_rms;
    at::Tensor gate_up;  // [T, 2I]
  };

  Block(BlockTensors weights, BlockTensors gradients, const ModelConfig& config);

  // x [T, H] -> the residual stream after the block, a new tensor.
  at::Tensor forward(const at::Tensor& x,
                     const AttentionShape& shape,
                     const RotaryTable& rotary,
                     AttentionKind kind,
                     Saved& saved) const;
  // Adds to the gradients; dy becomes dx in place. Spends `saved`.
  void backward(at::Tensor& dy,
                const AttentionShape& shape,
                const RotaryTable& rotary,
                AttentionKind kind,
                Saved saved);

  const BlockTensors& weights() const { return w_; }

 private:
  void mlp_backward(at::Tensor& dy, Saved& saved);
  void attention_backward(at::Tensor& dy,
                          const AttentionShape& shape,
                          const RotaryTable& rotary,
                          AttentionKind kind,
                          Saved& saved);

  BlockTensors w_, g_;
  double eps_;
};

}  // namespace llmctl
