// What a run may keep in host memory instead of the device's (trainer/model/saved_activations.h,
// trainer/optim/optimizer_state_home.h), by its names in a job file. Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace llmctl {

inline constexpr const char* kOffloadNames = "none optimizer activations all";

constexpr bool offloads_optimizer(std::string_view offload) {
  return offload == "optimizer" || offload == "all";
}
constexpr bool offloads_activations(std::string_view offload) {
  return offload == "activations" || offload == "all";
}

// An update takes offloaded state through the device in pieces of so many elements (whole matrices
// where a step needs one as a whole): one arrives, one is used, one leaves.
inline constexpr int64_t kOffloadPiece = 1 << 21;
inline constexpr int64_t kOffloadStages = 3;

}  // namespace llmctl
