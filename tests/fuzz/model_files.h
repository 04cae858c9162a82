// What is done with a model that was read, whatever file it came from.
#pragma once

#include <vector>

#include "trainer/formats/safetensors/stored_tensor.h"

namespace llmctl {

// Reads every value; they lie inside their file, or a sanitizer says so.
inline void read_all(const std::vector<StoredTensor>& tensors) {
  constexpr int64_t kMost = 1 << 22;  // elements; inputs are far smaller
  std::vector<float> values;
  for (const StoredTensor& tensor : tensors) {
    if (tensor.elements() > kMost) std::abort();
    values.assign(static_cast<size_t>(tensor.elements()), 0);
    tensor.read(values);
  }
}

}  // namespace llmctl
