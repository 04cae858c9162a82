#include "trainer/formats/safetensors/half.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace llmctl {
namespace {

constexpr uint32_t kSign = 0x8000'0000, kInfinity = 0x7F80'0000;
constexpr float kLargestRounded = 65'520;  // from here on the nearest F16 is infinity

}  // namespace

uint16_t to_f16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits & kSign) >> 16;
  const uint32_t magnitude = bits & ~kSign;
  if (magnitude > kInfinity) return static_cast<uint16_t>(sign | 0x7E00);
  if (std::bit_cast<float>(magnitude) >= kLargestRounded) {
    return static_cast<uint16_t>(sign | 0x7C00);
  }
  if (magnitude < 0x3880'0000) {  // below 2^-14: adding 0.5 rounds to F16's subnormal steps
    const auto rounded = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5F);
    return static_cast<uint16_t>(sign | (rounded - 0x3F00'0000));
  }
  const uint32_t even = (magnitude >> 13) & 1;
  const uint32_t rebased = magnitude - (112U << 23);  // exponent bias 127 -> 15
  return static_cast<uint16_t>(sign | ((rebased + 0xFFF + even) >> 13));
}

float from_f16(uint16_t half) {
  const uint32_t sign = (half & 0x8000U) << 16;
  const uint32_t magnitude = half & 0x7FFFU;
  uint32_t bits = 0;
  if (magnitude >= 0x7C00) {
    bits = kInfinity | ((magnitude & 0x3FF) << 13);
  } else if (magnitude >= 0x400) {
    bits = (magnitude << 13) + (112U << 23);
  } else {
    bits = std::bit_cast<uint32_t>(static_cast<float>(magnitude) * 0x1p-24F);
  }
  return std::bit_cast<float>(sign | bits);
}

uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & ~kSign) > kInfinity) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

float from_bf16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

bool beyond_f16(std::span<const float> values) {
  return std::any_of(values.begin(), values.end(), [](float value) {
    return std::isfinite(value) && std::abs(value) >= kLargestRounded;
  });
}

}  // namespace llmctl
