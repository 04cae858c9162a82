// The K-quants: 256 values in sub-blocks of 16 or 32, each with a small integer scale of its own.
#include <array>

#include "trainer/formats/gguf/unpack.h"

namespace llmctl {
namespace {

// The two bits at `shift` of a byte.
int two_bits(const std::byte* bytes, size_t shift) {
  return byte_at(bytes) >> shift & 3;
}

// 16 x 16. In each half four runs of 32: the two bits of all four share a byte.
void unpack_q2_k(const std::byte* block, float* out) {
  const std::byte *scales = block, *steps = block + 16;
  const float d = f16_at(block + 80), dmin = f16_at(block + 82);
  for (size_t i = 0; i < 256; ++i) {
    const size_t half = i / 128, run = i % 128 / 32, at = i % 32;
    const std::byte scale = scales[i / 16];
    const float step = d * static_cast<float>(low_bits(scale));
    const float offset = dmin * static_cast<float>(high_bits(scale));
    out[i] = step * static_cast<float>(two_bits(steps + half * 32 + at, 2 * run)) - offset;
  }
}

// 16 x 16: of each scale four low bits, then two high ones.
int scale_q3_k(const std::byte* packed, size_t j) {
  const int low = j < 8 ? low_bits(packed[j]) : high_bits(packed[j - 8]);
  return (low | two_bits(packed + 8 + j % 4, j / 4 * 2) << 4) - 32;
}

// A value's third bit lies in another byte, and takes 4 away where it is 0.
void unpack_q3_k(const std::byte* block, float* out) {
  const std::byte *third = block, *steps = block + 32, *scales = block + 96;
  const float d = f16_at(block + 108);
  for (size_t i = 0; i < 256; ++i) {
    const size_t half = i / 128, run = i % 128 / 32, at = i % 32;
    const float step = d * static_cast<float>(scale_q3_k(scales, i / 16));
    const bool less = (byte_at(third + at) >> (i / 32) & 1) == 0;
    const int q = two_bits(steps + half * 32 + at, 2 * run) - (less ? 4 : 0);
    out[i] = step * static_cast<float>(q);
  }
}

// The eight pairs of 6 bits of q4_k and q5_k: the low four pairs plainly, the upper ones in the
// gaps.
struct ScaleAndLeast {
  int scale, least;
};
ScaleAndLeast six_bit_pair(const std::byte* packed, size_t j) {
  if (j < 4) return {byte_at(packed + j) & 63, byte_at(packed + j + 4) & 63};
  return {low_bits(packed[j + 4]) | (byte_at(packed + j - 4) >> 6) << 4,
          high_bits(packed[j + 4]) | (byte_at(packed + j) >> 6) << 4};
}

// 8 x 32. Sub-blocks 2j and 2j + 1 are the low and the high halves of the same 32 bytes; a fifth
// bit of all eight shares a byte.
void unpack_q4_or_5_k(const std::byte* block, const std::byte* fifth, float* out) {
  const float d = f16_at(block), dmin = f16_at(block + 2);
  const std::byte *packed = block + 4, *steps = block + (fifth == nullptr ? 16 : 48);
  for (size_t j = 0; j < 8; ++j) {
    const auto [scale, least] = six_bit_pair(packed, j);
    const float step = d * static_cast<float>(scale), offset = dmin * static_cast<float>(least);
    for (size_t i = 0; i < 32; ++i) {
      const std::byte both = steps[j / 2 * 32 + i];
      int q = j % 2 == 0 ? low_bits(both) : high_bits(both);
      if (fifth != nullptr) q |= (byte_at(fifth + i) >> j & 1) << 4;
      out[j * 32 + i] = step * static_cast<float>(q) - offset;
    }
  }
}
void unpack_q4_k(const std::byte* block, float* out) {
  unpack_q4_or_5_k(block, nullptr, out);
}
void unpack_q5_k(const std::byte* block, float* out) {
  unpack_q4_or_5_k(block, block + 16, out);
}

// 16 x 16. In each half four runs of 32: the low bits of two share a byte, the high bits of all
// four do.
void unpack_q6_k(const std::byte* block, float* out) {
  const std::byte *low = block, *high = block + 128, *scales = block + 192;
  const float d = f16_at(block + 208);
  for (size_t i = 0; i < 256; ++i) {
    const size_t half = i / 128, run = i % 128 / 32, at = i % 32;
    const std::byte both = low[half * 64 + run % 2 * 32 + at];
    const int upper = two_bits(high + half * 32 + at, 2 * run);
    const int q = ((run < 2 ? low_bits(both) : high_bits(both)) | upper << 4) - 32;
    out[i] = d * static_cast<float>(signed_byte_at(scales + i / 16)) * static_cast<float>(q);
  }
}

}  // namespace

Unpack unpack_k(GgufType type) {
  switch (type) {
    case GgufType::q2_k:
      return unpack_q2_k;
    case GgufType::q3_k:
      return unpack_q3_k;
    case GgufType::q4_k:
      return unpack_q4_k;
    case GgufType::q5_k:
      return unpack_q5_k;
    case GgufType::q6_k:
      return unpack_q6_k;
    default:
      return nullptr;
  }
}

}  // namespace llmctl
