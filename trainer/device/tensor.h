// LibTorch as the engine sees it: tensors, ATen operators, parallel_for. Precompiled once for the
// whole engine (autograd's torch/torch.h is for tests only). Shapes in comments use T = tokens of
// the micro-batch (batch x sequence), H = hidden, D = head size, V = vocabulary.
#pragma once

#pragma push_macro("CHECK")  // ours, if core/base/result.h came first; c10 has one, too
#undef CHECK
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#undef CHECK
#pragma pop_macro("CHECK")
#include "core/base/result.h"

namespace llmctl {

// Whether the fused loops of this folder take it; all else is for trainer/ops/reference/aten.h.
inline bool fits_cpu_kernels(const at::Tensor& t) {
  return t.is_cpu() && t.scalar_type() == at::kFloat;
}

}  // namespace llmctl
