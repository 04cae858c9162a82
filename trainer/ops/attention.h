// Causal attention with grouped queries over the fused projection [T, (heads + 2 kv_heads) * D].
// Who computes it depends on the rule, the device and the type: on CUDA `flash` in bf16 and fp16 is
// FlashAttention-2 (cuda/flash_attention.h); fp32 on a CPU goes to loops of our own
// (cpu/attention.h); all else goes to LibTorch (reference/attention.h). The backward pass must be
// called with the operands of the forward pass: what was saved is read by whoever made it.
// Packed documents do not see each other: each is a sequence of its own.
#pragma once

#include "trainer/ops/operands/attention.h"

namespace llmctl {

AttentionSaved attention(const at::Tensor& qkv,
                         const AttentionShape& shape,
                         const AttentionRule& rule);
AttentionGradient attention_backward(const at::Tensor& dout,
                                     const at::Tensor& qkv,
                                     const AttentionSaved& saved,
                                     const AttentionShape& shape,
                                     const AttentionRule& rule);

}  // namespace llmctl
