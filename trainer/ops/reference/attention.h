// Attention by LibTorch's operators, on any device. `sdpa` never has the scores as a whole:
// LibTorch's flash attention on the CPU, its memory-efficient attention on CUDA (the one that takes
// fp32). `manual` is the plain formula with the whole score matrix: the oracle of all others, and
// what is used where those cannot be: soft caps, windows on CUDA, other devices. Contracts of
// trainer/ops/attention.h. Saves one tensor for all sequences, or one for each document: the log
// sum exp of the scores [B, heads, S or more], or of `manual` the probabilities [B, heads, S, S].
#pragma once

#include "trainer/ops/operands/attention.h"

namespace llmctl::reference {

AttentionSaved attention(const at::Tensor& qkv,
                         const AttentionShape& shape,
                         const AttentionRule& rule);
AttentionGradient attention_backward(const at::Tensor& dout,
                                     const at::Tensor& qkv,
                                     const AttentionSaved& saved,
                                     const AttentionShape& shape,
                                     const AttentionRule& rule);

}  // namespace llmctl::reference
