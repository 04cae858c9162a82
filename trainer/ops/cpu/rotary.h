// Rotary position embedding as fused loops over contiguous fp32 rows on the CPU. Contracts of
// trainer/ops/operators.h. Rows are shared out over threads.
#pragma once

#include "trainer/ops/operands/attention.h"
#include "trainer/ops/operands/rotary_table.h"

namespace llmctl::cpu {

void rotate(at::Tensor& qkv,
            const AttentionShape& shape,
            const RotaryTable& table,
            int64_t first_position);
void rotate_back(const AttentionGradient& grad,
                 const AttentionShape& shape,
                 const RotaryTable& table,
                 at::Tensor& dqkv);

}  // namespace llmctl::cpu
