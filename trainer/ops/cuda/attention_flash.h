// FlashAttention-2 (Dao, 2023) on CUDA, through LibTorch: bf16 and fp16, grouped heads, windows,
// and any number of documents in one call. Contracts of attention.h.
#pragma once

#include "trainer/ops/attention.h"

namespace llmctl {

// Where documents (or sequences) begin, and T: [documents + 1] int32 on `device`.
struct Boundaries {
  at::Tensor rows;
  int64_t longest = 0;
};
Boundaries boundaries_of(const AttentionShape& shape, int64_t rows, at::Device device);

// Whether it takes these; else attention.cc's other forms do.
bool flash_takes(const at::Tensor& qkv, const AttentionShape& shape, const AttentionRule& rule);

AttentionSaved flash_forward(const at::Tensor& qkv,
                             const AttentionShape& shape,
                             const AttentionRule& rule);
AttentionGradient flash_backward(const at::Tensor& dout,
                                 const at::Tensor& qkv,
                                 const AttentionSaved& saved,
                                 const AttentionShape& shape,
                                 const AttentionRule& rule);

}  // namespace llmctl
