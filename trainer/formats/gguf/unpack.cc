#include "trainer/formats/gguf/unpack.h"

#include <algorithm>

#include "core/base/result.h"
#include "trainer/files/ordered_threads.h"

namespace llmctl {
namespace {

constexpr size_t kBlocksRead = 4'096;

void unpack_q8_0(const std::byte* block, float* out) {
  const float d = f16_at(block);
  for (size_t i = 0; i < 32; ++i) out[i] = d * static_cast<float>(signed_byte_at(block + 2 + i));
}

// Values i and i + 16 share the byte i.
int nibble_at(const std::byte* nibbles, size_t i) {
  return i < 16 ? low_bits(nibbles[i]) : high_bits(nibbles[i - 16]);
}

void unpack_q4_0(const std::byte* block, float* out) {
  const float d = f16_at(block);
  for (size_t i = 0; i < 32; ++i) out[i] = d * static_cast<float>(nibble_at(block + 2, i) - 8);
}

void unpack_q4_1(const std::byte* block, float* out) {
  const float d = f16_at(block), m = f16_at(block + 2);
  for (size_t i = 0; i < 32; ++i) out[i] = d * static_cast<float>(nibble_at(block + 4, i)) + m;
}

int five_bits_at(uint32_t fifth, const std::byte* nibbles, size_t i) {
  return nibble_at(nibbles, i) | static_cast<int>((fifth >> i & 1) << 4);
}

void unpack_q5_0(const std::byte* block, float* out) {
  const float d = f16_at(block);
  const auto fifth = number_at<uint32_t>(block + 2);
  for (size_t i = 0; i < 32; ++i) {
    out[i] = d * static_cast<float>(five_bits_at(fifth, block + 6, i) - 16);
  }
}

void unpack_q5_1(const std::byte* block, float* out) {
  const float d = f16_at(block), m = f16_at(block + 2);
  const auto fifth = number_at<uint32_t>(block + 4);
  for (size_t i = 0; i < 32; ++i) {
    out[i] = d * static_cast<float>(five_bits_at(fifth, block + 8, i)) + m;
  }
}

Unpack unpack_plain(GgufType type) {
  switch (type) {
    case GgufType::q8_0:
      return unpack_q8_0;
    case GgufType::q4_0:
      return unpack_q4_0;
    case GgufType::q4_1:
      return unpack_q4_1;
    case GgufType::q5_0:
      return unpack_q5_0;
    case GgufType::q5_1:
      return unpack_q5_1;
    default:
      return nullptr;
  }
}

Unpack unpack_of(GgufType type) {
  for (const auto family : {unpack_plain, unpack_k, unpack_listed, unpack_grid}) {
    if (const Unpack unpack = family(type)) return unpack;
  }
  CHECK(false);
}

}  // namespace

void read_blocks(GgufType type, std::span<const std::byte> blocks, std::span<float> out) {
  const auto elements = static_cast<size_t>(block_elements(type));
  const auto bytes = static_cast<size_t>(block_bytes(type));
  const size_t count = out.size() / elements;
  CHECK(elements > 1 && count * elements == out.size() && count * bytes == blocks.size());
  OrderedThreads threads(usable_threads(0));
  for (size_t first = 0; first < count; first += kBlocksRead) {
    const auto work = [=, unpack = unpack_of(type)](size_t) {
      for (size_t i = first; i < std::min(first + kBlocksRead, count); ++i) {
        unpack(blocks.data() + i * bytes, out.data() + i * elements);
      }
    };
    CHECK(threads.add(work, ok_status).ok());
  }
  CHECK(threads.finish().ok());
}

}  // namespace llmctl
