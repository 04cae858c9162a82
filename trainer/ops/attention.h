// Causal attention with grouped queries over the fused projection [T, (heads + 2 kv_heads) * D]:
// rows hold q heads, then k heads, then v heads. `sdpa` never has the scores as a whole and saves
// their log sum exp: LibTorch's flash attention on the CPU, its memory-efficient attention on CUDA
// (the one that takes fp32). `flash` is sdpa, but on CUDA in bf16 and fp16 FlashAttention-2
// (attention_flash.h). `manual` is the plain formula with the whole score matrix, the oracle of the
// others, and what they mean where neither can be had: soft caps, and windows of sdpa on CUDA.
// Packed documents do not see each other: each is a sequence of its own.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/model/model_config.h"
#include "trainer/device/tensor.h"

namespace llmctl {

struct AttentionShape {
  int64_t sequence = 0, heads = 0, kv_heads = 0, head_dim = 0;
  // Rows where a document begins, ascending, the first 0; `sequence` is T then. Empty: every
  // sequence is one document. Views the micro-batch.
  std::span<const int32_t> document_starts = {};
  int64_t row() const { return (heads + 2 * kv_heads) * head_dim; }
};

enum class AttentionKind { sdpa, flash, manual };
AttentionKind attention_kind(std::string_view name);  // of Plan::attention, which was checked

struct AttentionRule {  // of one layer
  AttentionKind kind = AttentionKind::sdpa;
  int64_t window = 0;   // tokens seen, itself included; 0: all before it
  double scale = 0;     // of the scores; 0: 1 / sqrt(head_dim)
  double soft_cap = 0;  // c: scores become c tanh(score / c); 0: not
};
AttentionRule attention_rule(const ModelConfig& config, int64_t layer, AttentionKind kind);

struct AttentionSaved {
  at::Tensor out;  // [T, heads * D]
  // One for all sequences, or one for each document. sdpa: log sum exp [B, heads, S or more];
  // manual: probabilities [B, heads, S, S]. flash: what attention_flash.cc needs.
  std::vector<at::Tensor> weights;
};
AttentionSaved attention(const at::Tensor& qkv,
                         const AttentionShape& shape,
                         const AttentionRule& rule);

struct AttentionGradient {
  at::Tensor q, k, v;  // [B, heads or kv_heads, S, D], any strides with the last one 1
};
AttentionGradient attention_backward(const at::Tensor& dout,
                                     const at::Tensor& qkv,
                                     const AttentionSaved& saved,
                                     const AttentionShape& shape,
                                     const AttentionRule& rule);

}  // namespace llmctl
