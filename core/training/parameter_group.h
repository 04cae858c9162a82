// ParameterGroup: the kinds of parameters whose gradients people watch apart. The trainer takes the
// norms, reports carry them, curves and Prometheus show them.
#pragma once

#include <array>
#include <cstddef>

namespace llmctl {

enum class ParameterGroup { embedding, attention, mlp, norm, head };
inline constexpr size_t kParameterGroups = 5;
const char* to_string(ParameterGroup group);

using GroupNorms = std::array<double, kParameterGroups>;  // by ParameterGroup

}  // namespace llmctl
