#include "trainer/formats/gguf/blocks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "core/base/result.h"
#include "trainer/files/ordered_threads.h"
#include "trainer/formats/safetensors/half.h"
#include "trainer/formats/safetensors/stored_tensor.h"

namespace llmctl {
namespace {

struct TypeRow {
  GgufType type;
  const char* name;
  int64_t elements;
  Bytes bytes;
};
constexpr TypeRow kTypes[] = {
    {GgufType::f32, "fp32", 1, 4},      {GgufType::f16, "fp16", 1, 2},
    {GgufType::bf16, "bf16", 1, 2},     {GgufType::q8_0, "q8_0", 32, 34},
    {GgufType::q4_0, "q4_0", 32, 18},   {GgufType::q4_k, "q4_k", 256, 144},
    {GgufType::q6_k, "q6_k", 256, 210},
};
constexpr size_t kBlocksPerTask = 1'024;

const TypeRow& row_of(GgufType type) {
  const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [&](const TypeRow& row) { return row.type == type; });
  CHECK(found != std::end(kTypes));
  return *found;
}

void put_f16(float value, std::byte* out) {
  const uint16_t bits = to_f16(value);
  std::memcpy(out, &bits, sizeof bits);
}

void pack_q8_0(std::span<const float> x, std::byte* out) {
  float most = 0;
  for (const float value : x) most = std::max(most, std::abs(value));
  const float d = most / 127, inverse = std::isnormal(d) ? 1 / d : 0;
  put_f16(d, out);
  for (size_t i = 0; i < x.size(); ++i) {
    out[2 + i] = static_cast<std::byte>(static_cast<int8_t>(std::round(x[i] * inverse)));
  }
}

// The value of largest magnitude becomes exactly -8 steps.
void pack_q4_0(std::span<const float> x, std::byte* out) {
  const float most = *std::max_element(x.begin(), x.end(),
                                       [](float a, float b) { return std::abs(a) < std::abs(b); });
  const float d = most / -8, inverse = std::isnormal(d) ? 1 / d : 0;
  put_f16(d, out);
  const auto steps = [&](size_t i) {
    return static_cast<unsigned>(std::clamp(std::trunc(x[i] * inverse + 8.5F), 0.0F, 15.0F));
  };
  for (size_t i = 0; i < 16; ++i) {
    out[2 + i] = static_cast<std::byte>(steps(i) | (steps(i + 16) << 4));
  }
}

void pack(GgufType type, std::span<const float> values, std::byte* out) {
  switch (type) {
    case GgufType::q8_0:
      return pack_q8_0(values, out);
    case GgufType::q4_0:
      return pack_q4_0(values, out);
    case GgufType::q4_k:
      return pack_q4_k(values, out);
    case GgufType::q6_k:
      return pack_q6_k(values, out);
    default:
      CHECK(false);
  }
}

}  // namespace

std::optional<GgufType> parse_gguf_type(std::string_view name) {
  for (const TypeRow& row : kTypes) {
    if (name == row.name) return row.type;
  }
  return std::nullopt;
}

std::optional<GgufType> gguf_type(uint32_t number) {
  for (const TypeRow& row : kTypes) {
    if (number == static_cast<uint32_t>(row.type)) return row.type;
  }
  return std::nullopt;
}

const char* to_string(GgufType type) {
  return row_of(type).name;
}

int64_t block_elements(GgufType type) {
  return row_of(type).elements;
}

Bytes block_bytes(GgufType type) {
  return row_of(type).bytes;
}

void append_blocks(GgufType type, std::span<const float> values, std::vector<std::byte>& out) {
  if (type == GgufType::f32) return append_as(DType::f32, values, out);
  if (type == GgufType::f16) return append_as(DType::f16, values, out);
  if (type == GgufType::bf16) return append_as(DType::bf16, values, out);
  const auto elements = static_cast<size_t>(block_elements(type));
  const auto bytes = static_cast<size_t>(block_bytes(type));
  CHECK(values.size() % elements == 0);
  const size_t blocks = values.size() / elements, at = out.size();
  out.resize(at + blocks * bytes);
  OrderedThreads threads(usable_threads(0));
  for (size_t first = 0; first < blocks; first += kBlocksPerTask) {
    const auto work = [=, from = values, to = out.data() + at](size_t) {
      for (size_t i = first; i < std::min(first + kBlocksPerTask, blocks); ++i) {
        pack(type, from.subspan(i * elements, elements), to + i * bytes);
      }
    };
    CHECK(threads.add(work, ok_status).ok());
  }
  CHECK(threads.finish().ok());
}

}  // namespace llmctl
