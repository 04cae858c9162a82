// RMS normalization of every query head and every key head by itself, in place on the rows of the
// fused projection, before they are rotated (Qwen3, Gemma 3). For a model without it, exists() is
// false. Holds views of weights and gradients. One thread calls it.
#pragma once

#include "trainer/model/norm.h"
#include "trainer/ops/operands/attention.h"

namespace llmctl {

class QkNorm {
 public:
  struct Saved {   // per token: (heads + kv_heads) * D floats, and one number per head
    at::Tensor q;  // [T * heads, D] as they came in
    at::Tensor q_statistics;
    at::Tensor k;  // [T * kv_heads, D]
    at::Tensor k_statistics;
  };

  QkNorm(const BlockTensors& weights, const BlockTensors& gradients, const ModelConfig& config);
  bool exists() const { return q_.exists(); }
  void forward(at::Tensor& qkv, const AttentionShape& shape, Saved& saved) const;
  // dqkv [T, row]: its q and k heads become the gradient of what came in.
  void backward(at::Tensor& dqkv, const AttentionShape& shape, const Saved& saved);

 private:
  Norm q_, k_;
};

}  // namespace llmctl
