// A tensor of a model between two forms: checkpoint, Hugging Face directory, GGUF file, the live
// weights. All of them are spoken of in Hugging Face's names and shapes, and in fp32; read()
// fetches the values when they are wanted, so no more than one tensor need be in memory. Valid as
// long as what it was made from says; a tensor of a file keeps its mapping alive.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "trainer/formats/safetensors/safetensors.h"

namespace llmctl {

struct StoredTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::function<void(std::span<float> out)> read;  // Requires: out.size() == elements()
  DType dtype = DType::f32;  // the smallest that holds all it reads: F32, F16 or BF16

  int64_t elements() const {
    int64_t product = 1;
    for (const int64_t extent : shape) product *= extent;
    return product;
  }
};

// F32, F16 and BF16 only; anything else is invalid_argument and names the tensor. `owner` keeps
// the bytes alive.
Result<StoredTensor> stored_tensor(const TensorView& view,
                                   std::shared_ptr<const void> owner,
                                   const std::string& file);
// Values as the bytes of `dtype` (F32, F16 or BF16), appended.
void append_as(DType dtype, std::span<const float> values, std::vector<std::byte>& out);

}  // namespace llmctl
