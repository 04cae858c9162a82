#include "trainer/formats/gguf/blocks.h"

#include <algorithm>
#include <array>
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
  bool written = false;
};
constexpr TypeRow kTypes[] = {
    {GgufType::f32, "fp32", 1, 4, true},      {GgufType::f16, "fp16", 1, 2, true},
    {GgufType::bf16, "bf16", 1, 2, true},     {GgufType::q8_0, "q8_0", 32, 34, true},
    {GgufType::q6_k, "q6_k", 256, 210, true}, {GgufType::q5_0, "q5_0", 32, 22, true},
    {GgufType::q4_k, "q4_k", 256, 144, true}, {GgufType::q4_0, "q4_0", 32, 18, true},
    {GgufType::q5_k, "q5_k", 256, 176},       {GgufType::q5_1, "q5_1", 32, 24},
    {GgufType::q4_1, "q4_1", 32, 20},         {GgufType::q3_k, "q3_k", 256, 110},
    {GgufType::q2_k, "q2_k", 256, 84},        {GgufType::iq4_nl, "iq4_nl", 32, 18},
    {GgufType::iq4_xs, "iq4_xs", 256, 136},   {GgufType::iq3_s, "iq3_s", 256, 110},
    {GgufType::iq3_xxs, "iq3_xxs", 256, 98},  {GgufType::iq2_s, "iq2_s", 256, 82},
    {GgufType::iq2_xs, "iq2_xs", 256, 74},    {GgufType::iq2_xxs, "iq2_xxs", 256, 66},
    {GgufType::iq1_m, "iq1_m", 256, 56},      {GgufType::iq1_s, "iq1_s", 256, 50},
    {GgufType::tq2_0, "tq2_0", 256, 66},      {GgufType::tq1_0, "tq1_0", 256, 54},
    {GgufType::mxfp4, "mxfp4", 32, 17},
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

// Steps around a middle one: the value of largest magnitude becomes exactly -middle of them.
struct Steps {
  float d = 0;
  std::array<unsigned, 32> q{};  // 0 … 2 middle - 1

  Steps(std::span<const float> x, float middle) {
    const float most = *std::max_element(
        x.begin(), x.end(), [](float a, float b) { return std::abs(a) < std::abs(b); });
    d = most / -middle;
    const float inverse = std::isnormal(d) ? 1 / d : 0;
    for (size_t i = 0; i < q.size(); ++i) {
      const float step = std::trunc(x[i] * inverse + middle + 0.5F);
      q[i] = static_cast<unsigned>(std::clamp(step, 0.0F, 2 * middle - 1));
    }
  }
  void put_nibbles(std::byte* out) const {
    for (size_t i = 0; i < 16; ++i) {
      out[i] = static_cast<std::byte>((q[i] & 15) | ((q[i + 16] & 15) << 4));
    }
  }
};

void pack_q4_0(std::span<const float> x, std::byte* out) {
  const Steps steps(x, 8);
  put_f16(steps.d, out);
  steps.put_nibbles(out + 2);
}

void pack_q5_0(std::span<const float> x, std::byte* out) {
  const Steps steps(x, 16);
  put_f16(steps.d, out);
  uint32_t fifth = 0;
  for (size_t i = 0; i < steps.q.size(); ++i) fifth |= (steps.q[i] >> 4) << i;
  std::memcpy(out + 2, &fifth, sizeof fifth);
  steps.put_nibbles(out + 6);
}

void pack(GgufType type, std::span<const float> values, std::byte* out) {
  switch (type) {
    case GgufType::q8_0:
      return pack_q8_0(values, out);
    case GgufType::q4_0:
      return pack_q4_0(values, out);
    case GgufType::q5_0:
      return pack_q5_0(values, out);
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
    if (row.written && name == row.name) return row.type;
  }
  return std::nullopt;
}

std::optional<GgufType> gguf_type(uint32_t number) {
  for (const TypeRow& row : kTypes) {
    if (number == static_cast<uint32_t>(row.type)) return row.type;
  }
  return std::nullopt;
}

std::string gguf_type_names() {
  std::string names;
  for (const TypeRow& row : kTypes) names += (names.empty() ? "" : ", ") + std::string(row.name);
  return names;
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
