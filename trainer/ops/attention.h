// Attention (`Attention` of operands/operator_types.h), and who computes it: on CUDA `flash` in
// bf16 and fp16 is FlashAttention-2, fp32 on a CPU goes to loops of our own, all else goes to
// LibTorch.
#pragma once

#include "trainer/ops/operands/operator_types.h"

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
