// Rotary position embedding by kernels of our own. Contracts of trainer/ops/operators.h. On CPU
// tensors they run, slowly, the same bodies.
#pragma once

#include "trainer/ops/operands/attention.h"
#include "trainer/ops/operands/rotary_table.h"

namespace llmctl::cuda {

void rotate(at::Tensor& qkv,
            const AttentionShape& shape,
            const RotaryTable& table,
            int64_t first_position);
void rotate_back(const AttentionGradient& grad,
                 const AttentionShape& shape,
                 const RotaryTable& table,
                 at::Tensor& dqkv);

}  // namespace llmctl::cuda
