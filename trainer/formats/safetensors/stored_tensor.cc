#include "trainer/formats/safetensors/stored_tensor.h"

#include <cstring>

#include "trainer/formats/safetensors/half.h"

namespace llmctl {
namespace {

// A file may place a tensor at any byte, so 16-bit values are fetched with memcpy.
template <float (*widen)(uint16_t)>
void read_halves(std::span<const std::byte> bytes, std::span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, bytes.data() + 2 * i, sizeof bits);
    out[i] = widen(bits);
  }
}

template <uint16_t (*narrow)(float)>
void append_halves(std::span<const float> values, std::byte* out) {
  for (const float value : values) {
    const uint16_t bits = narrow(value);
    std::memcpy(out, &bits, sizeof bits);
    out += sizeof bits;
  }
}

void read_as(DType dtype, std::span<const std::byte> bytes, std::span<float> out) {
  CHECK(bytes.size() == out.size() * static_cast<size_t>(byte_size(dtype)));
  if (bytes.empty()) return;
  if (dtype == DType::f16) return read_halves<from_f16>(bytes, out);
  if (dtype == DType::bf16) return read_halves<from_bf16>(bytes, out);
  std::memcpy(out.data(), bytes.data(), bytes.size());
}

}  // namespace

Result<StoredTensor> stored_tensor(const TensorView& view,
                                   std::shared_ptr<const void> owner,
                                   const std::string& file) {
  if (view.dtype != DType::f32 && view.dtype != DType::f16 && view.dtype != DType::bf16) {
    return Error{Code::invalid_argument,
                 file + ": tensor \"" + view.name + "\": has type " + to_string(view.dtype) +
                     ", expected F32, F16 or BF16",
                 ""};
  }
  const auto read = [owner = std::move(owner), dtype = view.dtype,
                     bytes = view.bytes](std::span<float> out) { read_as(dtype, bytes, out); };
  return StoredTensor{view.name, view.shape, read, view.dtype};
}

void append_as(DType dtype, std::span<const float> values, std::vector<std::byte>& out) {
  const size_t at = out.size();
  out.resize(at + values.size() * static_cast<size_t>(byte_size(dtype)));
  if (values.empty()) return;
  if (dtype == DType::f16) return append_halves<to_f16>(values, out.data() + at);
  if (dtype == DType::bf16) return append_halves<to_bf16>(values, out.data() + at);
  CHECK(dtype == DType::f32);
  std::memcpy(out.data() + at, values.data(), values.size_bytes());
}

}  // namespace llmctl
