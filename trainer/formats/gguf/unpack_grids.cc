// Types that name a run of 8 or 4 values at once, as a row of a grid, with their signs apart (iq2,
// iq3) or one offset for the run (iq1). Each block has 256 values: 32 runs of 8, or 64 of 4.
#include <array>
#include <bit>

#include "trainer/formats/gguf/grids.h"
#include "trainer/formats/gguf/unpack.h"

namespace llmctl {
namespace {

constexpr std::array<float, 4> kValues2 = {8, 25, 43, 0};
constexpr std::array<float, 8> kValues3Xxs = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr std::array<float, 8> kValues3S = {1, 3, 5, 7, 9, 11, 13, 15};
constexpr float kOffset1 = 0.125F;

// Of seven signs the eighth follows: an even number of values is negative.
unsigned eight_signs(unsigned seven) {
  seven &= 127;
  return seven | static_cast<unsigned>(std::popcount(seven) & 1) << 7;
}

void put_8(uint16_t row, unsigned signs, float step, float* out) {
  for (unsigned i = 0; i < 8; ++i) {
    const float value = step * kValues2[row >> 2 * i & 3];
    out[i] = (signs >> i & 1) != 0 ? -value : value;
  }
}

void put_4(
    uint16_t row, const std::array<float, 8>& values, unsigned signs, float step, float* out) {
  for (unsigned i = 0; i < 4; ++i) {
    const float value = step * values[row >> 4 * i & 7];
    out[i] = (signs >> i & 1) != 0 ? -value : value;
  }
}

// Of a pair of runs of 8.
float step_2(const std::byte* scales, size_t run, float d) {
  const std::byte both = scales[run / 4];
  const int scale = run / 2 % 2 == 0 ? low_bits(both) : high_bits(both);
  return d * (0.5F + static_cast<float>(scale)) * 0.25F;
}

// Of each 32 values: four rows, then four times seven signs and a scale.
void unpack_iq2_xxs(const std::byte* block, float* out) {
  const float d = f16_at(block);
  for (size_t run = 0; run < 32; ++run) {
    const std::byte* part = block + 2 + run / 4 * 8;
    const auto rest = number_at<uint32_t>(part + 4);
    const float step = d * (0.5F + static_cast<float>(rest >> 28)) * 0.25F;
    const auto row = static_cast<size_t>(byte_at(part + run % 4));
    put_8(kIq2XxsGrid[row], eight_signs(rest >> 7 * (run % 4)), step, out + 8 * run);
  }
}

// Of each run nine bits of its row and seven signs.
void unpack_iq2_xs(const std::byte* block, float* out) {
  const float d = f16_at(block);
  for (size_t run = 0; run < 32; ++run) {
    const auto both = number_at<uint16_t>(block + 2 + 2 * run);
    put_8(kIq2XsGrid[both & 511], eight_signs(both >> 9U), step_2(block + 66, run, d),
          out + 8 * run);
  }
}

void unpack_iq2_s(const std::byte* block, float* out) {
  const std::byte *low = block + 2, *signs = block + 34, *high = block + 66, *scales = block + 74;
  const float d = f16_at(block);
  for (size_t run = 0; run < 32; ++run) {
    const int upper = byte_at(high + run / 4) >> 2 * (run % 4) & 3;
    const auto row = static_cast<size_t>(byte_at(low + run) | upper << 8);
    put_8(kIq2SGrid[row], static_cast<unsigned>(byte_at(signs + run)), step_2(scales, run, d),
          out + 8 * run);
  }
}

// Behind all rows, of each 32 values four times seven signs and a scale.
void unpack_iq3_xxs(const std::byte* block, float* out) {
  const float d = f16_at(block);
  for (size_t run = 0; run < 64; ++run) {
    const auto rest = number_at<uint32_t>(block + 66 + run / 8 * 4);
    const float step = d * (0.5F + static_cast<float>(rest >> 28)) * 0.5F;
    const unsigned signs = eight_signs(rest >> 7 * (run / 2 % 4)) >> 4 * (run % 2);
    const auto row = static_cast<size_t>(byte_at(block + 2 + run));
    put_4(kIq3XxsGrid[row], kValues3Xxs, signs, step, out + 4 * run);
  }
}

void unpack_iq3_s(const std::byte* block, float* out) {
  const std::byte *low = block + 2, *high = block + 66, *signs = block + 74, *scales = block + 106;
  const float d = f16_at(block);
  for (size_t run = 0; run < 64; ++run) {
    const std::byte both = scales[run / 16];
    const int scale = run / 8 % 2 == 0 ? low_bits(both) : high_bits(both);
    const float step = d * static_cast<float>(1 + 2 * scale);
    const int ninth = byte_at(high + run / 8) >> run % 8 & 1;
    const auto row = static_cast<size_t>(byte_at(low + run) | ninth << 8);
    const auto sign = static_cast<unsigned>(byte_at(signs + run / 2)) >> 4 * (run % 2);
    put_4(kIq3SGrid[row], kValues3S, sign, step, out + 4 * run);
  }
}

// `high`: three more bits of the row, and the sign of the offset.
void put_1(const std::byte* low, unsigned high, bool less, float step, float* out) {
  const uint16_t row = kIq1Grid[static_cast<unsigned>(byte_at(low)) | (high & 7) << 8];
  const float offset = less ? -kOffset1 : kOffset1;
  for (unsigned i = 0; i < 8; ++i) {
    out[i] = step * (static_cast<float>(row >> 2 * i & 3) - 1 + offset);
  }
}

void unpack_iq1_s(const std::byte* block, float* out) {
  const float d = f16_at(block);
  for (size_t run = 0; run < 32; ++run) {
    const unsigned high = number_at<uint16_t>(block + 34 + run / 4 * 2);
    const float step = d * static_cast<float>(2 * (high >> 12 & 7) + 1);
    put_1(block + 2 + run, high >> 3 * (run % 4), (high & 0x8000) != 0, step, out + 8 * run);
  }
}

// The block's own scale is cut into the top four bits of four numbers, whose other twelve are
// scales of 16 values each.
void unpack_iq1_m(const std::byte* block, float* out) {
  const std::byte *high = block + 32, *scales = block + 48;
  const auto number = [&](size_t i) { return unsigned{number_at<uint16_t>(scales + 2 * i)}; };
  const unsigned bits =
      (number(0) >> 12) | (number(1) >> 12) << 4 | (number(2) >> 12) << 8 | (number(3) >> 12) << 12;
  const float d = from_f16(static_cast<uint16_t>(bits));
  for (size_t run = 0; run < 32; ++run) {
    const unsigned scale = number(run / 8) >> 3 * (run / 2 % 4) & 7;
    const std::byte both = high[run / 2];
    const auto more = static_cast<unsigned>(run % 2 == 0 ? low_bits(both) : high_bits(both));
    put_1(block + run, more, (more & 8) != 0, d * static_cast<float>(2 * scale + 1), out + 8 * run);
  }
}

}  // namespace

Unpack unpack_grid(GgufType type) {
  switch (type) {
    case GgufType::iq2_xxs:
      return unpack_iq2_xxs;
    case GgufType::iq2_xs:
      return unpack_iq2_xs;
    case GgufType::iq2_s:
      return unpack_iq2_s;
    case GgufType::iq3_xxs:
      return unpack_iq3_xxs;
    case GgufType::iq3_s:
      return unpack_iq3_s;
    case GgufType::iq1_s:
      return unpack_iq1_s;
    case GgufType::iq1_m:
      return unpack_iq1_m;
    default:
      return nullptr;
  }
}

}  // namespace llmctl
