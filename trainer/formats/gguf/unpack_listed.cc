// Types whose steps are no even ones: each names a value of a list of 16 (iq4_nl, iq4_xs, and
// mxfp4 of the OCP Microscaling formats), or of -1, 0 and 1 (tq1_0, tq2_0).
#include <array>
#include <bit>

#include "trainer/formats/gguf/unpack.h"

namespace llmctl {
namespace {

constexpr std::array<int8_t, 16> kUneven = {-127, -104, -83, -65, -49, -35, -22, -10,
                                            1,    13,   25,  38,  53,  69,  89,  113};
constexpr std::array<int8_t, 16> kE2m1 = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// 32 values of a list; values i and i + 16 share the byte i.
void unpack_32(const std::array<int8_t, 16>& list, const std::byte* steps, float d, float* out) {
  for (size_t i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(list[static_cast<size_t>(low_bits(steps[i]))]);
    out[i + 16] = d * static_cast<float>(list[static_cast<size_t>(high_bits(steps[i]))]);
  }
}

void unpack_iq4_nl(const std::byte* block, float* out) {
  unpack_32(kUneven, block + 2, f16_at(block), out);
}

// 8 x 32: of each scale two high bits, then four low ones.
void unpack_iq4_xs(const std::byte* block, float* out) {
  const float d = f16_at(block);
  const int high = number_at<uint16_t>(block + 2);
  const std::byte *low = block + 4, *steps = block + 8;
  for (size_t j = 0; j < 8; ++j) {
    const int four = j % 2 == 0 ? low_bits(low[j / 2]) : high_bits(low[j / 2]);
    const int scale = (four | (high >> 2 * j & 3) << 4) - 32;
    unpack_32(kUneven, steps + 16 * j, d * static_cast<float>(scale), out + 32 * j);
  }
}

// The scale is a power of two, the list has its values doubled.
void unpack_mxfp4(const std::byte* block, float* out) {
  const auto e = static_cast<uint32_t>(byte_at(block));
  const uint32_t bits = e < 2 ? 0x0020'0000U << e : (e - 1) << 23;
  unpack_32(kE2m1, block + 1, std::bit_cast<float>(bits), out);
}

// In each half four runs of 32: the two bits of all four share a byte.
void unpack_tq2_0(const std::byte* block, float* out) {
  const float d = f16_at(block + 64);
  for (size_t i = 0; i < 256; ++i) {
    const size_t half = i / 128, run = i % 128 / 32, at = i % 32;
    out[i] = d * static_cast<float>((byte_at(block + half * 32 + at) >> 2 * run & 3) - 1);
  }
}

// A byte is a fraction of 3^5: times a power of three, its digit in base 3 comes to the top.
int digit_of_three(const std::byte* byte, size_t digit) {
  constexpr std::array<int, 5> kPowers = {1, 3, 9, 27, 81};
  const int shifted = byte_at(byte) * kPowers[digit] & 255;
  return (shifted * 3 >> 8) - 1;
}

// 160 values of 32 bytes, 80 of 16, and 16 of 4 bytes with four digits each; the first digits of
// all bytes come first.
void unpack_tq1_0(const std::byte* block, float* out) {
  const float d = f16_at(block + 52);
  struct Part {
    size_t bytes, digits;
  };
  for (const auto& [bytes, digits] : {Part{32, 5}, {16, 5}, {4, 4}}) {
    for (size_t i = 0; i < bytes * digits; ++i) {
      *out++ = d * static_cast<float>(digit_of_three(block + i % bytes, i / bytes));
    }
    block += bytes;
  }
}

}  // namespace

Unpack unpack_listed(GgufType type) {
  switch (type) {
    case GgufType::iq4_nl:
      return unpack_iq4_nl;
    case GgufType::iq4_xs:
      return unpack_iq4_xs;
    case GgufType::mxfp4:
      return unpack_mxfp4;
    case GgufType::tq2_0:
      return unpack_tq2_0;
    case GgufType::tq1_0:
      return unpack_tq1_0;
    default:
      return nullptr;
  }
}

}  // namespace llmctl
