#include "core/training/parameter_group.h"

namespace llmctl {

const char* to_string(ParameterGroup group) {
  static constexpr std::array<const char*, kParameterGroups> kNames = {"embedding", "attention",
                                                                       "mlp", "norm", "head"};
  return kNames[static_cast<size_t>(group)];
}

}  // namespace llmctl
