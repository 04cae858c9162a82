// Causal attention with grouped queries over the fused projection [T, (heads + 2 kv_heads) * D]:
// rows hold q heads, then k heads, then v heads. `sdpa` never has the scores as a whole and saves
// their log sum exp: LibTorch's flash attention on the CPU, its memory-efficient attention on CUDA
// (the one that takes fp32). `manual` is the plain formula with the whole score matrix, the oracle
// of the others, and what sdpa means where neither of them can be had.
#pragma once

#include <string_view>

#include "trainer/tensor.h"

namespace llmctl {

struct AttentionShape {
  int64_t sequence = 0, heads = 0, kv_heads = 0, head_dim = 0;
  int64_t row() const { return (heads + 2 * kv_heads) * head_dim; }
};
enum class AttentionKind { sdpa, manual };
AttentionKind attention_kind(std::string_view name);  // of Plan::attention, which was checked

struct AttentionSaved {
  at::Tensor out;  // [T, heads * D]
  at::Tensor
      weights;  // sdpa: log sum exp [B, heads, S or more]; manual: probabilities [B, heads, S, S]
};
AttentionSaved attention(const at::Tensor& qkv, const AttentionShape& shape, AttentionKind kind);

struct AttentionGradient {
  at::Tensor q, k, v;  // [B, heads or kv_heads, S, D], any strides with the last one 1
};
AttentionGradient attention_backward(const at::Tensor& dout,
                                     const at::Tensor& qkv,
                                     const AttentionSaved& saved,
                                     const AttentionShape& shape,
                                     AttentionKind kind);

}  // namespace llmctl
