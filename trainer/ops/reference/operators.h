// The operators in ATen alone: any device and any type, and what tests compare the other forms
// with.
#pragma once

#include "trainer/ops/operands/operator_types.h"

namespace llmctl::reference {

extern const RmsNorm rms_norm;

// By LibTorch's fused layer norm, where it has one.
extern const LayerNorm layer_norm;
extern const Activation activation;
extern const Rotary rotary;
extern const Embedding embedding;
extern const CrossEntropy cross_entropy;

// `sdpa` never has the scores as a whole: LibTorch's flash attention on the CPU, its
// memory-efficient attention on CUDA (the one that takes fp32). `manual` is the plain formula with
// the whole score matrix: the oracle of all others, and what is used where those cannot be: soft
// caps, windows on CUDA, other devices. Saves one tensor for all sequences, or one for each
// document: the log sum exp of the scores [B, heads, S or more], or of `manual` the probabilities
// [B, heads, S, S].
extern const Attention attention;

}  // namespace llmctl::reference
