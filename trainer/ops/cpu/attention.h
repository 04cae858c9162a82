// Attention of fp32 on the CPU by loops of our own: blocks of queries against all keys they see, in
// the fused rows where they are, with nothing of the size of all scores. One task is a document's
// (or sequence's) heads that share keys, so the result does not depend on the number of threads. A
// window costs only what it shows. Contracts of trainer/ops/attention.h; saves the log sum exp of
// the scores, [T, heads].
#pragma once

#include "trainer/ops/operands/attention.h"

namespace llmctl::cpu {

// Whether these loops can, with work for every thread.
bool takes_attention(const at::Tensor& qkv, const AttentionShape& shape, const AttentionRule& rule);

AttentionSaved attention(const at::Tensor& qkv,
                         const AttentionShape& shape,
                         const AttentionRule& rule);
AttentionGradient attention_backward(const at::Tensor& dout,
                                     const at::Tensor& qkv,
                                     const AttentionSaved& saved,
                                     const AttentionShape& shape,
                                     const AttentionRule& rule);

}  // namespace llmctl::cpu
