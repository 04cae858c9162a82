#include "trainer/files/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace llmctl {
namespace {

constexpr uint32_t kPolynomial = 0x82F63B78;
using Table = std::array<uint32_t, 256>;

constexpr std::array<Table, 8> make_tables() {
  std::array<Table, 8> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t below = tables[k - 1][byte];
      tables[k][byte] = (below >> 8) ^ tables[0][below & 0xFF];
    }
  }
  return tables;
}
constexpr auto kTables = make_tables();

uint64_t load64(const std::byte* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

#if defined(__x86_64__)
constexpr size_t kStream = 4096;  // bytes per stream: long enough to hide the join's cost

// What kStream zero bytes do to the register. That map is linear, so a table per register byte
// holds it, and crc(a + b) = zeros(crc(a)) ^ crc(b) joins streams that were computed apart.
class ZeroBytes {
 public:
  ZeroBytes() {
    for (size_t k = 0; k < 4; ++k) {
      for (uint32_t byte = 0; byte < 256; ++byte) {
        uint32_t crc = byte << (8 * k);
        for (size_t n = 0; n < kStream; ++n) crc = (crc >> 8) ^ kTables[0][crc & 0xFF];
        effect_[k][byte] = crc;
      }
    }
  }
  uint32_t operator()(uint32_t crc) const {
    return effect_[0][crc & 0xFF] ^ effect_[1][(crc >> 8) & 0xFF] ^ effect_[2][(crc >> 16) & 0xFF] ^
           effect_[3][crc >> 24];
  }

 private:
  std::array<Table, 4> effect_{};
};

__attribute__((target("sse4.2"))) uint32_t crc32c_sse42(std::span<const std::byte> bytes,
                                                        uint32_t crc) {
  static const ZeroBytes zeros;
  const std::byte* at = bytes.data();
  size_t left = bytes.size();
  uint64_t a = ~crc;
  // The instruction takes 3 cycles but one can start each cycle: three streams fill the gap.
  while (left >= 3 * kStream) {
    uint64_t b = 0, c = 0;
    for (size_t i = 0; i < kStream; i += 8) {
      a = _mm_crc32_u64(a, load64(at + i));
      b = _mm_crc32_u64(b, load64(at + kStream + i));
      c = _mm_crc32_u64(c, load64(at + 2 * kStream + i));
    }
    const uint32_t ab = zeros(static_cast<uint32_t>(a)) ^ static_cast<uint32_t>(b);
    a = zeros(ab) ^ static_cast<uint32_t>(c);
    at += 3 * kStream;
    left -= 3 * kStream;
  }
  for (; left >= 8; at += 8, left -= 8) a = _mm_crc32_u64(a, load64(at));
  auto tail = static_cast<uint32_t>(a);
  for (; left > 0; ++at, --left) tail = _mm_crc32_u8(tail, static_cast<uint8_t>(*at));
  return ~tail;
}
#endif

}  // namespace

uint32_t crc32c_portable(std::span<const std::byte> bytes, uint32_t crc) {
  const std::byte* at = bytes.data();
  size_t left = bytes.size();
  crc = ~crc;
  for (; left >= 8; at += 8, left -= 8) {
    const uint64_t word = load64(at) ^ crc;
    crc = 0;
    for (size_t k = 0; k < 8; ++k) crc ^= kTables[7 - k][(word >> (8 * k)) & 0xFF];
  }
  for (; left > 0; ++at, --left) {
    crc = (crc >> 8) ^ kTables[0][(crc ^ static_cast<uint32_t>(*at)) & 0xFF];
  }
  return ~crc;
}

uint32_t crc32c(std::span<const std::byte> bytes, uint32_t crc) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return crc32c_sse42(bytes, crc);
#endif
  return crc32c_portable(bytes, crc);
}

}  // namespace llmctl
