// FlashAttention-2 (Dao, 2023) on CUDA, through LibTorch: bf16 and fp16, grouped heads, windows,
// and any number of documents in one call. Contracts of trainer/ops/attention.h; saves the log sum
// exp, the documents' boundaries, and LibTorch's random state, which nobody uses.
#pragma once

#include "trainer/ops/operands/attention.h"

namespace llmctl::cuda {

bool takes_flash_attention(const at::Tensor& qkv,
                           const AttentionShape& shape,
                           const AttentionRule& rule);

AttentionSaved flash_attention(const at::Tensor& qkv,
                               const AttentionShape& shape,
                               const AttentionRule& rule);
AttentionGradient flash_attention_backward(const at::Tensor& dout,
                                           const at::Tensor& qkv,
                                           const AttentionSaved& saved,
                                           const AttentionShape& shape,
                                           const AttentionRule& rule);

}  // namespace llmctl::cuda
