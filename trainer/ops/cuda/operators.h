// The operators as kernels of our own, where LibTorch would take several or has none that is
// deterministic and in place (layer norm and embedding have none: LibTorch's are as good). They
// only enqueue work, on the current stream. On CPU tensors they run, slowly, the same bodies.
#pragma once

#include "trainer/ops/operands/operator_types.h"

namespace llmctl::cuda {

extern const RmsNorm rms_norm;
extern const Activation activation;
extern const Rotary rotary;
extern const CrossEntropy cross_entropy;

// FlashAttention-2 (Dao, 2023) through LibTorch: bf16 and fp16, grouped heads, windows, and any
// number of documents in one call. Not on CPU tensors. The shape must hold the documents'
// boundaries. Saves the log sum exp, and LibTorch's random state, which nobody uses.
extern const Attention attention;

}  // namespace llmctl::cuda
