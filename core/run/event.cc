#include "core/run/event.h"

#include <array>

namespace llmctl {

static constexpr auto kOutcomes = std::to_array<const char*>({
    "done",
    "left",
    "oom",
    "crashed",
    "hang",
    "nonfinite",
    "bad_input",
    "checkpoint_lost",
    "storage_full",
    "spawn_failed",
    "lost",
    "killed",
});
static_assert(kOutcomes.size() == static_cast<size_t>(Outcome::killed) + 1);

// In the order of EventBody; the count is checked, the names by a test.
static constexpr auto kEventNames = std::to_array<const char*>({
    "JobSubmitted",      "JobMoved",        "JobPlanned",
    "PriorityChanged",   "AttemptGranted",  "AttemptStopping",
    "RankGone",          "ProbeMeasured",   "CheckpointCommitted",
    "CheckpointRemoved", "SampleGenerated", "WorkerRegistered",
    "WorkerDrained",     "WorkerLost",      "WorkerForgotten",
    "WorkerSeen",        "WorkerHeld",      "RankUp",
    "Progressed",
});
static_assert(kEventNames.size() == std::variant_size_v<EventBody>);

const char* to_string(AttemptKind kind) {
  return kind == AttemptKind::probe ? "probe" : "train";
}

const char* to_string(Outcome outcome) {
  return kOutcomes[static_cast<size_t>(outcome)];
}

std::optional<Outcome> parse_outcome(std::string_view text) {
  for (size_t i = 0; i < kOutcomes.size(); ++i) {
    if (text == kOutcomes[i]) return static_cast<Outcome>(i);
  }
  return std::nullopt;
}

bool is_durable(const Event& event) {
  return !std::holds_alternative<WorkerSeen>(event.body) &&
         !std::holds_alternative<WorkerHeld>(event.body) &&
         !std::holds_alternative<RankUp>(event.body) &&
         !std::holds_alternative<Progressed>(event.body);
}

const char* event_name(const Event& event) {
  return kEventNames[event.body.index()];
}

}  // namespace llmctl
