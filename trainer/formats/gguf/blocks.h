// The tensor types of GGUF files that llmctl knows: plain floats, and GGML's blocks, in which a
// run of values shares scales. A row is cut into blocks; its length must be a multiple of
// block_elements(). What llama.cpp writes is read; of the blocks those that say so are also
// written. Bytes of a block (little endian):
//   q8_0  32 values: f16 d, 32 signed bytes q                              x = d q       written
//   q4_0  32 values: f16 d, nibbles (low ones first)                       x = d (q - 8) written
//   q5_0  32 values: f16 d, 32 fifth bits, nibbles                         x = d (q - 16) written
//   q4_1, q5_1       with an f16 m behind d                                x = d q + m
//   q4_k 256 values: f16 d, f16 dmin, eight 6-bit (sc, m), nibbles         x = d sc q - dmin m
//                                                                                        written
//   q6_k 256 values: low nibbles, high 2 bits, sixteen int8 sc, f16 d      x = d sc (q - 32)
//                                                                                        written
//   q2_k, q3_k, q5_k 256 values, of that kind (unpack_k.cc)
//   iq4_nl, iq4_xs, mxfp4, tq1_0, tq2_0: values from a list (unpack_listed.cc)
//   iq1_*, iq2_*, iq3_*: runs of 4 or 8 values from a grid (unpack_grids.cc)
// Values read equal GGML's reference bit for bit. So do the blocks written as q8_0, q5_0 and q4_0;
// q4_k and q6_k search for scales (k_blocks.cc). Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/units.h"

namespace llmctl {

enum class GgufType : uint32_t {  // as files number them
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  iq2_xxs = 16,
  iq2_xs = 17,
  iq3_xxs = 18,
  iq1_s = 19,
  iq4_nl = 20,
  iq3_s = 21,
  iq2_s = 22,
  iq4_xs = 23,
  iq1_m = 29,
  bf16 = 30,
  tq1_0 = 34,
  tq2_0 = 35,
  mxfp4 = 39
};
std::optional<GgufType> parse_gguf_type(std::string_view name);  // one that is written: "q4_k"
std::optional<GgufType> gguf_type(uint32_t number);
std::string gguf_type_names();  // of all: "fp32, fp16, …"
const char* to_string(GgufType type);
int64_t block_elements(GgufType type);  // 1: plain floats
Bytes block_bytes(GgufType type);

// Appends the blocks of `values`. Requires: of a type that is written; a whole number of blocks,
// all finite.
void append_blocks(GgufType type, std::span<const float> values, std::vector<std::byte>& out);

// Requires: of a type with blocks, as many of them as fill `out`.
void read_blocks(GgufType type, std::span<const std::byte> blocks, std::span<float> out);

// The K-quants, one block of 256 values into block_bytes() bytes.
void pack_q4_k(std::span<const float> values, std::byte* out);
void pack_q6_k(std::span<const float> values, std::byte* out);

}  // namespace llmctl
