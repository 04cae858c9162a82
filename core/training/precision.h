// Precisions of a run, by their names in a job file: in what type the weights are multiplied and
// the activations kept. Weights, gradients, optimizer state and sums are fp32 in each; bf16 and
// fp16 add a copy of the matrices in their type, made anew after every update ("fp32 master
// weights", Micikevicius et al., ICLR 2018). bf16 may also do without the masters. Vectors (norms
// and biases) are fp32 in each. Pure.
#pragma once

#include <string_view>

#include "core/base/units.h"

namespace llmctl {

inline constexpr const char* kPrecisionNames = "fp32 tf32 bf16 fp16";

// Of one activation.
constexpr Bytes activation_bytes(std::string_view precision) {
  return precision == "bf16" || precision == "fp16" ? 2 : 4;
}
constexpr bool has_weight_copy(std::string_view precision) {
  return activation_bytes(precision) < 4;
}
// Of one weight of a matrix, with what it is multiplied as.
constexpr double weight_bytes(std::string_view precision, bool masters) {
  const auto copy = static_cast<double>(activation_bytes(precision));
  return has_weight_copy(precision) ? copy + (masters ? 4 : 0) : 4;
}

}  // namespace llmctl
