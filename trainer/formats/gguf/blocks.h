// The tensor types of GGUF files that llmctl knows: plain floats, and GGML's blocks, in which a
// run of values shares scales. A row is cut into blocks; its length must be a multiple of
// block_elements(). Bytes of a block (little endian):
//   q8_0  32 values: f16 d, 32 signed bytes q                              x = d q
//   q4_0  32 values: f16 d, nibbles (low ones first)                       x = d (q - 8)
//   q4_k 256 values: f16 d, f16 dmin, eight 6-bit (sc, m), nibbles         x = d sc q - dmin m
//   q6_k 256 values: low nibbles, high 2 bits, sixteen int8 sc, f16 d      x = d sc (q - 32)
// Values read equal GGML's reference bit for bit. So do the blocks written as q8_0 and q4_0; q4_k
// and q6_k search for scales (k_blocks.cc). Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/units.h"

namespace llmctl {

enum class GgufType : uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q8_0 = 8,
  q4_k = 12,
  q6_k = 14,
  bf16 = 30
};
std::optional<GgufType> parse_gguf_type(std::string_view name);  // "fp32", "bf16", "q4_k" …
std::optional<GgufType> gguf_type(uint32_t number);              // as files have it
const char* to_string(GgufType type);
int64_t block_elements(GgufType type);  // 1: plain floats
Bytes block_bytes(GgufType type);

// Appends the blocks of `values`. Requires: a whole number of blocks, all finite.
void append_blocks(GgufType type, std::span<const float> values, std::vector<std::byte>& out);

// Requires: of a type with blocks, as many of them as fill `out`.
void read_blocks(GgufType type, std::span<const std::byte> blocks, std::span<float> out);

// The K-quants, one block of 256 values into block_bytes() bytes.
void pack_q4_k(std::span<const float> values, std::byte* out);
void pack_q6_k(std::span<const float> values, std::byte* out);

}  // namespace llmctl
