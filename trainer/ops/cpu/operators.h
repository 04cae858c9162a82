// The operators as fused loops over contiguous fp32 on the CPU. Rows are shared out over LibTorch's
// threads, and no result depends on how many there are: sums over rows run in a fixed order.
#pragma once

#include "trainer/ops/operands/operator_types.h"

namespace llmctl::cpu {

extern const RmsNorm rms_norm;
extern const LayerNorm layer_norm;
extern const Activation activation;
extern const Rotary rotary;

// Gradients are added in token order: each thread owns columns, not tokens.
extern const Embedding embedding;

// Losses of rows are summed in row order.
extern const CrossEntropy cross_entropy;

// Blocks of queries against all keys they see, in the fused rows where they are, with nothing of
// the size of all scores; a window costs only what it shows. One task is a document's (or
// sequence's) heads that share keys. Saves the log sum exp of the scores, [T, heads].
extern const Attention attention;

}  // namespace llmctl::cpu
