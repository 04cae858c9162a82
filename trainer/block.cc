#include "trainer/block.h"

#include "trainer/device_memory.h"
#include "trainer/linear.h"
#include "trainer/rms_norm.h"
#include "trainer/swiglu.h"

namespace llmctl {

Block::Block(BlockTensors weights, BlockTensors gradients, const ModelConfig& config)
    : w_(std::move(weights)), g_(std::move(gradients)), eps_(config.rms_norm_eps) {}

at::Tensor Block::forward(const at::Tensor& x,
                          const AttentionShape& shape,
                          const RotaryTable& rotary,
                          AttentionKind kind,
                          Saved& saved) const {
  const CauseScope cause(Cause::activations);
  saved.x = x;
  {
    Normed normed = rms_norm(x, w_.attention_norm.weight, eps_);
    saved.attention_inverse_rms = normed.inverse_rms;
    saved.qkv = linear_forward(normed.y, w_.qkv.weight);
  }
  rotate(saved.qkv, shape, rotary);
  saved.attention = attention(saved.qkv, shape, kind);
  saved.middle = linear_forward(saved.attention.out, w_.out.weight);
  {
    Normed normed = add_rms_norm(saved.middle, x, w_.mlp_norm.weight, eps_);
    saved.mlp_inverse_rms = normed.inverse_rms;
    saved.gate_up = linear_forward(normed.y, w_.up.weight);
  }
  at::Tensor y = linear_forward(swiglu(saved.gate_up), w_.down.weight);
  return y.add_(saved.middle);
}

void Block::backward(at::Tensor& dy,
                     const AttentionShape& shape,
                     const RotaryTable& rotary,
                     AttentionKind kind,
                     Saved saved) {
  const CauseScope cause(Cause::workspace);
  mlp_backward(dy, saved);
  attention_backward(dy, shape, rotary, kind, saved);
}

// Each buffer is reused for its own gradient as soon as its value has been used for the last time.
void Block::mlp_backward(at::Tensor& dy, Saved& saved) {
  {
    at::Tensor a = swiglu(saved.gate_up);
    add_weight_gradient(g_.down.weight, dy, a);
    at::Tensor& da = at::mm_out(a, dy, w_.down.weight);
    swiglu_backward(saved.gate_up, da);
  }
  const at::Tensor dgate_up = std::move(saved.gate_up);
  at::Tensor h = rms_norm_again(saved.middle, saved.mlp_inverse_rms, w_.mlp_norm.weight);
  add_weight_gradient(g_.up.weight, dgate_up, h);
  at::Tensor& dh = at::mm_out(h, dgate_up, w_.up.weight);
  rms_norm_backward(dh, saved.middle, saved.mlp_inverse_rms, w_.mlp_norm.weight, dy,
                    g_.mlp_norm.weight);
  saved.middle.reset();
}

void Block::attention_backward(at::Tensor& dy,
                               const AttentionShape& shape,
                               const RotaryTable& rotary,
                               AttentionKind kind,
                               Saved& saved) {
  add_weight_gradient(g_.out.weight, dy, saved.attention.out);
  {
    const AttentionGradient grad = llmctl::attention_backward(at::mm(dy, w_.out.weight), saved.qkv,
                                                              saved.attention, shape, kind);
    rotate_back(grad, shape, rotary, saved.qkv);
  }
  const at::Tensor dqkv = std::move(saved.qkv);
  at::Tensor h = rms_norm_again(saved.x, saved.attention_inverse_rms, w_.attention_norm.weight);
  add_weight_gradient(g_.qkv.weight, dqkv, h);
  at::Tensor& dh = at::mm_out(h, dqkv, w_.qkv.weight);
  rms_norm_backward(dh, saved.x, saved.attention_inverse_rms, w_.attention_norm.weight, dy,
                    g_.attention_norm.weight);
}

}  // namespace llmctl
