// Checkpointing: what of a block's forward pass is not kept for its backward pass but computed
// again. From fastest to smallest; each keeps less than the one before. By name in job files, plans
// and messages. Pure.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace llmctl {

enum class Checkpointing {
  none,       // everything is kept
  selective,  // all but the MLP's inner row, the widest: one product again
  block,      // only the block's input is kept: its whole forward again (Chen et al., 1604.06174)
};
inline constexpr auto kCheckpointing = std::to_array<const char*>({"none", "selective", "block"});
// What a job file may say: also that the plan is to choose, and what others' job files say.
inline constexpr const char* kCheckpointingChoices = "auto none selective block false true";

constexpr const char* to_string(Checkpointing checkpointing) {
  return kCheckpointing[static_cast<size_t>(checkpointing)];
}

// Of a name above, or "false" (none) or "true" (block); nullopt: of "auto", or no name.
constexpr std::optional<Checkpointing> parse_checkpointing(std::string_view name) {
  if (name == "false") return Checkpointing::none;
  if (name == "true") return Checkpointing::block;
  for (size_t i = 0; i < kCheckpointing.size(); ++i) {
    if (name == kCheckpointing[i]) return static_cast<Checkpointing>(i);
  }
  return std::nullopt;
}

}  // namespace llmctl
