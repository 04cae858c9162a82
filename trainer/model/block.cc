#include "trainer/model/block.h"

#include "trainer/device/device_memory.h"

namespace llmctl {

Block::Block(const BlockTensors& w,
             const BlockTensors& g,
             const ModelConfig& config,
             const AttentionRule& rule)
    : attention_norm_(w.attention_norm, g.attention_norm, config),
      mlp_norm_(w.mlp_norm, g.mlp_norm, config),
      attention_post_norm_(w.attention_post_norm, g.attention_post_norm, config),
      mlp_post_norm_(w.mlp_post_norm, g.mlp_post_norm, config),
      qk_norm_(w, g, config),
      qkv_(w.qkv, g.qkv),
      out_(w.out, g.out),
      up_(w.up, g.up),
      down_(w.down, g.down),
      activation_(mlp_activation(config)),
      rule_(rule) {}

std::vector<at::Tensor*> tensors_of(Block::Saved& s) {
  std::vector<at::Tensor*> all = {&s.x,
                                  &s.attention_statistics,
                                  &s.qk.q,
                                  &s.qk.q_statistics,
                                  &s.qk.k,
                                  &s.qk.k_statistics,
                                  &s.qkv,
                                  &s.attention.out,
                                  &s.attended,
                                  &s.attended_statistics,
                                  &s.middle,
                                  &s.mlp_statistics,
                                  &s.up,
                                  &s.mlp_out,
                                  &s.mlp_out_statistics};
  for (at::Tensor& weights : s.attention.weights) all.push_back(&weights);
  std::erase_if(all, [](const at::Tensor* tensor) { return !tensor->defined(); });
  return all;
}

at::Tensor Block::forward(const at::Tensor& x,
                          const AttentionShape& shape,
                          const RotaryTable& rotary,
                          Saved& saved) const {
  const CauseScope cause(Cause::activations);
  project(x, shape, rotary, 0, saved);
  saved.attention = attention(saved.qkv, shape, rule_);
  return finish(saved.attention.out, saved);
}

void Block::project(const at::Tensor& x,
                    const AttentionShape& shape,
                    const RotaryTable& rotary,
                    int64_t first_position,
                    Saved& saved) const {
  saved.x = x;
  {
    Normed normed = attention_norm_.forward(x);
    saved.attention_statistics = normed.statistics;
    saved.qkv = qkv_.forward(normed.y);
  }
  if (qk_norm_.exists()) qk_norm_.forward(saved.qkv, shape, saved.qk);
  operators_for(saved.qkv).rotary.forward(saved.qkv, shape, rotary, first_position);
}

at::Tensor Block::finish(const at::Tensor& attended, Saved& saved) const {
  saved.middle = out_.forward(attended);
  if (attention_post_norm_.exists()) {
    saved.attended = saved.middle;
    Normed normed = attention_post_norm_.forward(saved.attended);
    saved.attended_statistics = normed.statistics;
    saved.middle = normed.y;
  }
  {
    Normed normed = mlp_norm_.add_forward(saved.middle, saved.x);
    saved.mlp_statistics = normed.statistics;
    saved.up = up_.forward(normed.y);
  }
  at::Tensor y = down_.forward(operators_for(saved.up).activation.forward(activation_, saved.up));
  if (mlp_post_norm_.exists()) {
    saved.mlp_out = y;
    Normed normed = mlp_post_norm_.forward(saved.mlp_out);
    saved.mlp_out_statistics = normed.statistics;
    y = normed.y;
  }
  return y.add_(saved.middle);
}

void Block::backward(at::Tensor& dy,
                     const AttentionShape& shape,
                     const RotaryTable& rotary,
                     Saved saved) {
  const CauseScope cause(Cause::workspace);
  mlp_backward(dy, saved);
  attention_backward(dy, shape, rotary, saved);
}

// What reaches a branch of the residual stream: dy itself, or dy through the branch's post norm.
static at::Tensor branch_gradient(Norm& norm,
                                  const at::Tensor& dy,
                                  at::Tensor& before,
                                  const at::Tensor& statistics) {
  if (!norm.exists()) return dy;
  at::Tensor branch = at::zeros_like(dy);
  norm.backward(dy, before, statistics, branch);
  before.reset();
  return branch;
}

// Each buffer is reused for its own gradient as soon as its value has been used for the last time.
void Block::mlp_backward(at::Tensor& dy, Saved& saved) {
  if (!saved.up.defined()) {
    saved.up = up_.forward(mlp_norm_.recompute(saved.middle, saved.mlp_statistics));
  }
  {
    const at::Tensor branch =
        branch_gradient(mlp_post_norm_, dy, saved.mlp_out, saved.mlp_out_statistics);
    const Operators& operators = operators_for(saved.up);
    at::Tensor a = operators.activation.forward(activation_, saved.up);
    down_.add_gradients(branch, a);
    operators.activation.backward(activation_, saved.up, down_.input_gradient(branch, a));
  }
  const at::Tensor dup = std::move(saved.up);
  at::Tensor h = mlp_norm_.recompute(saved.middle, saved.mlp_statistics);
  up_.add_gradients(dup, h);
  mlp_norm_.backward(up_.input_gradient(dup, h), saved.middle, saved.mlp_statistics, dy);
  saved.middle.reset();
}

void Block::attention_backward(at::Tensor& dy,
                               const AttentionShape& shape,
                               const RotaryTable& rotary,
                               Saved& saved) {
  {
    at::Tensor dout;
    {
      const at::Tensor branch =
          branch_gradient(attention_post_norm_, dy, saved.attended, saved.attended_statistics);
      out_.add_gradients(branch, saved.attention.out);
      dout = out_.input_gradient(branch);
    }
    const AttentionGradient grad =
        llmctl::attention_backward(dout, saved.qkv, saved.attention, shape, rule_);
    operators_for(saved.qkv).rotary.backward(grad, shape, rotary, saved.qkv);
  }
  if (qk_norm_.exists()) qk_norm_.backward(saved.qkv, shape, saved.qk);
  saved.qk = {};
  const at::Tensor dqkv = std::move(saved.qkv);
  at::Tensor h = attention_norm_.recompute(saved.x, saved.attention_statistics);
  qkv_.add_gradients(dqkv, h);
  attention_norm_.backward(qkv_.input_gradient(dqkv, h), saved.x, saved.attention_statistics, dy);
}

}  // namespace llmctl
