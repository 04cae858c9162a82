// Rotary position embedding in ATen operators alone. Contracts of trainer/ops/operators.h.
#pragma once

#include "trainer/ops/operands/attention.h"
#include "trainer/ops/operands/rotary_table.h"

namespace llmctl::reference {

void rotate(at::Tensor& qkv,
            const AttentionShape& shape,
            const RotaryTable& table,
            int64_t first_position);
void rotate_back(const AttentionGradient& grad,
                 const AttentionShape& shape,
                 const RotaryTable& table,
                 at::Tensor& dqkv);

}  // namespace llmctl::reference
