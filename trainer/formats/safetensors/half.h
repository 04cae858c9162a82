// 16-bit floats to fp32 and back: IEEE half (F16) and bfloat16, as whole rows. To 16 bits rounds to
// nearest, ties to even; what is too large for F16 becomes infinity (beyond_f16 finds it first).
// Pure; equal to numpy's casts bit for bit, NaN payloads aside. Knows nothing of torch.
#pragma once

#include <cstdint>
#include <span>

namespace llmctl {

uint16_t to_f16(float value);
float from_f16(uint16_t bits);
uint16_t to_bf16(float value);
float from_bf16(uint16_t bits);

bool beyond_f16(std::span<const float> values);  // a finite one that F16 cannot hold

}  // namespace llmctl
