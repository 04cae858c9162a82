// Attention of fp32 on the CPU: blocks of queries against all keys they see, in the fused rows
// where they are, with nothing of the size of all scores. One task is a document's (or sequence's)
// heads that share keys, so the result does not depend on the number of threads. A window costs
// only what it shows. Contracts of attention.h; `weights` is the log sum exp, [T, heads].
#pragma once

#include "trainer/ops/attention.h"

namespace llmctl {

// Whether it takes these, with work for every thread; else attention.cc's other forms do.
bool cpu_kernel_takes(const at::Tensor& qkv,
                      const AttentionShape& shape,
                      const AttentionRule& rule);

AttentionSaved cpu_forward(const at::Tensor& qkv,
                           const AttentionShape& shape,
                           const AttentionRule& rule);
AttentionGradient cpu_backward(const at::Tensor& dout,
                               const at::Tensor& qkv,
                               const AttentionSaved& saved,
                               const AttentionShape& shape,
                               const AttentionRule& rule);

}  // namespace llmctl
