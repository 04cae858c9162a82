// What a norm's forward gives: the normalized rows, and what its backward needs besides x and the
// weights.
#pragma once

#include "trainer/device/tensor.h"

namespace llmctl {

struct Normed {
  at::Tensor y;           // [T, H]
  at::Tensor statistics;  // RMS norm: r [T]. Layer norm: mean and r [T, 2]
};

}  // namespace llmctl
