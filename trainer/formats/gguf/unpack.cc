// Values of GGUF's blocks (blocks.h), in fp32 and in the order of operations of the reference,
// so that they are equal to it in every bit.
#include <algorithm>
#include <cstring>

#include "core/base/result.h"
#include "trainer/files/ordered_threads.h"
#include "trainer/formats/gguf/blocks.h"
#include "trainer/formats/safetensors/half.h"

namespace llmctl {
namespace {

constexpr size_t kBlocksRead = 4'096;

float f16_at(const std::byte* bytes) {
  uint16_t bits = 0;
  std::memcpy(&bits, bytes, sizeof bits);
  return from_f16(bits);
}
int low_bits(std::byte byte) {
  return std::to_integer<int>(byte) & 15;
}
int high_bits(std::byte byte) {
  return std::to_integer<int>(byte) >> 4;
}
int signed_byte(std::byte byte) {
  return static_cast<int8_t>(byte);
}

void unpack_q8_0(const std::byte* block, float* out) {
  const float d = f16_at(block);
  for (size_t i = 0; i < 32; ++i) out[i] = d * static_cast<float>(signed_byte(block[2 + i]));
}

void unpack_q4_0(const std::byte* block, float* out) {
  const float d = f16_at(block);
  for (size_t i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(low_bits(block[2 + i]) - 8);
    out[i + 16] = d * static_cast<float>(high_bits(block[2 + i]) - 8);
  }
}

// Sub-blocks 2j and 2j + 1 are the low and the high halves of the same 32 bytes.
void unpack_q4_k(const std::byte* block, float* out) {
  const float d = f16_at(block), dmin = f16_at(block + 2);
  const std::byte *packed = block + 4, *steps = block + 16;
  for (size_t j = 0; j < 8; ++j) {
    int scale = 0, least = 0;
    if (j < 4) {
      scale = std::to_integer<int>(packed[j]) & 63;
      least = std::to_integer<int>(packed[j + 4]) & 63;
    } else {
      scale = low_bits(packed[j + 4]) | ((std::to_integer<int>(packed[j - 4]) >> 6) << 4);
      least = high_bits(packed[j + 4]) | ((std::to_integer<int>(packed[j]) >> 6) << 4);
    }
    const float step = d * static_cast<float>(scale), offset = dmin * static_cast<float>(least);
    for (size_t i = 0; i < 32; ++i) {
      const std::byte both = steps[j / 2 * 32 + i];
      const int q = j % 2 == 0 ? low_bits(both) : high_bits(both);
      out[j * 32 + i] = step * static_cast<float>(q) - offset;
    }
  }
}

// In each half four runs of 32: the low bits of two share a byte, the high bits of all four do.
void unpack_q6_k(const std::byte* block, float* out) {
  const std::byte *low = block, *high = block + 128, *scales = block + 192;
  const float d = f16_at(block + 208);
  for (size_t i = 0; i < 256; ++i) {
    const size_t half = i / 128, run = i % 128 / 32, at = i % 32;
    const std::byte both = low[half * 64 + run % 2 * 32 + at];
    const int upper = (std::to_integer<int>(high[half * 32 + at]) >> (2 * run)) & 3;
    const int q = ((run < 2 ? low_bits(both) : high_bits(both)) | (upper << 4)) - 32;
    out[i] = d * static_cast<float>(signed_byte(scales[i / 16])) * static_cast<float>(q);
  }
}

void unpack(GgufType type, const std::byte* block, float* out) {
  switch (type) {
    case GgufType::q8_0:
      return unpack_q8_0(block, out);
    case GgufType::q4_0:
      return unpack_q4_0(block, out);
    case GgufType::q4_k:
      return unpack_q4_k(block, out);
    case GgufType::q6_k:
      return unpack_q6_k(block, out);
    default:
      CHECK(false);
  }
}

}  // namespace

void read_blocks(GgufType type, std::span<const std::byte> blocks, std::span<float> out) {
  const auto elements = static_cast<size_t>(block_elements(type));
  const auto bytes = static_cast<size_t>(block_bytes(type));
  const size_t count = out.size() / elements;
  CHECK(elements > 1 && count * elements == out.size() && count * bytes == blocks.size());
  OrderedThreads threads(usable_threads(0));
  for (size_t first = 0; first < count; first += kBlocksRead) {
    const auto work = [=](size_t) {
      for (size_t i = first; i < std::min(first + kBlocksRead, count); ++i) {
        unpack(type, blocks.data() + i * bytes, out.data() + i * elements);
      }
    };
    CHECK(threads.add(work, ok_status).ok());
  }
  CHECK(threads.finish().ok());
}

}  // namespace llmctl
