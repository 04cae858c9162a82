// LibTorch as the engine sees it: tensors, ATen operators, parallel_for. Precompiled once for the
// whole engine (autograd's torch/torch.h is for tests only). Shapes in comments use T = tokens of
// the micro-batch (batch x sequence), H = hidden, D = head size, V = vocabulary.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#undef CHECK  // c10's; ours is in core/result.h, which therefore comes after
#include "core/result.h"
