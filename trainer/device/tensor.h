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
