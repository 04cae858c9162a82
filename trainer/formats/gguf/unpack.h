// One block of each type (blocks.h) into its values, in fp32 and in the order of operations of
// GGML's reference, so that they are equal to it in every bit. read_blocks() calls them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "trainer/formats/gguf/blocks.h"
#include "trainer/formats/safetensors/half.h"

namespace llmctl {

using Unpack = void (*)(const std::byte* block, float* out);
// nullptr: of another family.
Unpack unpack_k(GgufType type);       // q2_k … q6_k
Unpack unpack_listed(GgufType type);  // values from a list
Unpack unpack_grid(GgufType type);    // runs of values from a grid

template <class T>
T number_at(const std::byte* bytes) {
  T value{};
  std::memcpy(&value, bytes, sizeof value);
  return value;
}
inline float f16_at(const std::byte* bytes) {
  return from_f16(number_at<uint16_t>(bytes));
}
inline int byte_at(const std::byte* bytes) {
  return std::to_integer<int>(*bytes);
}
inline int signed_byte_at(const std::byte* bytes) {
  return static_cast<int8_t>(*bytes);
}
inline int low_bits(std::byte byte) {
  return std::to_integer<int>(byte) & 15;
}
inline int high_bits(std::byte byte) {
  return std::to_integer<int>(byte) >> 4;
}

}  // namespace llmctl
