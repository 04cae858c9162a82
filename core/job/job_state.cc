#include "core/job/job_state.h"

namespace llmctl {

struct StateName {
  JobState state;
  const char* name;
};
static constexpr auto kStates = std::to_array<StateName>({
    {JobState::queued, "QUEUED"},
    {JobState::probing, "PROBING"},
    {JobState::starting, "STARTING"},
    {JobState::running, "RUNNING"},
    {JobState::preempting, "PREEMPTING"},
    {JobState::recovering, "RECOVERING"},
    {JobState::paused, "PAUSED"},
    {JobState::succeeded, "SUCCEEDED"},
    {JobState::failed, "FAILED"},
    {JobState::canceled, "CANCELED"},
});

struct ReasonName {
  Reason reason;
  const char* name;
  const char* sentence;
};
static constexpr auto kReasons = std::to_array<ReasonName>({
    {Reason::none, "none", "No reason was given."},
    {Reason::submitted, "submitted", "It was submitted and waits for a place."},
    {Reason::needs_probe, "needs_probe", "Its memory and speed are being measured."},
    {Reason::fitted, "fitted", "Its plan was measured; it waits for a place."},
    {Reason::placed, "placed", "Devices were granted and its ranks are being started."},
    {Reason::all_ranks_up, "all_ranks_up", "Every rank reports."},
    {Reason::finished, "finished", "It reached its goal."},
    {Reason::oom, "oom", "It ran out of device memory."},
    {Reason::rank_crashed, "rank_crashed", "A rank's process ended unexpectedly."},
    {Reason::worker_lost, "worker_lost", "Its worker has not been heard of for too long."},
    {Reason::hang, "hang", "A rank stopped making progress."},
    {Reason::nonfinite, "nonfinite", "Too many steps in a row gave NaN or Inf."},
    {Reason::bad_input, "bad_input", "The trainer refused its data, model or tokenizer."},
    {Reason::checkpoint_lost, "checkpoint_lost", "No committed checkpoint could be read."},
    {Reason::storage_full, "storage_full", "There was no space to write a checkpoint."},
    {Reason::does_not_fit, "does_not_fit", "No plan fits any device of the cluster."},
    {Reason::retries_exhausted, "retries_exhausted", "It failed more often than it may restart."},
    {Reason::drained, "drained", "Its worker is being drained."},
    {Reason::backoff_over, "backoff_over", "It waited after a failure and is queued again."},
    {Reason::user_canceled, "user_canceled", "It was canceled by a user."},
    {Reason::user_paused, "user_paused", "It was paused by a user."},
    {Reason::user_resumed, "user_resumed", "It was resumed by a user."},
    {Reason::too_small, "too_small", "The device was too small; one with more is asked next."},
    {Reason::not_understood, "not_understood",
     "It was stored by another version, and this one does not understand its job file."},
});

// Both tables are indexed by the enumerator, so their order is the enum's.
static_assert(kStates.size() == static_cast<size_t>(JobState::canceled) + 1);
static_assert(kReasons.size() == static_cast<size_t>(Reason::not_understood) + 1);
static constexpr bool in_enum_order() {
  for (size_t i = 0; i < kStates.size(); ++i) {
    if (static_cast<size_t>(kStates[i].state) != i) return false;
  }
  for (size_t i = 0; i < kReasons.size(); ++i) {
    if (static_cast<size_t>(kReasons[i].reason) != i) return false;
  }
  return true;
}
static_assert(in_enum_order());

const char* to_string(JobState state) {
  return kStates[static_cast<size_t>(state)].name;
}
const char* to_string(Reason reason) {
  return kReasons[static_cast<size_t>(reason)].name;
}
const char* describe(Reason reason) {
  return kReasons[static_cast<size_t>(reason)].sentence;
}

std::optional<JobState> parse_job_state(std::string_view text) {
  for (const StateName& row : kStates) {
    if (text == row.name) return row.state;
  }
  return std::nullopt;
}

std::optional<Reason> parse_reason(std::string_view text) {
  for (const ReasonName& row : kReasons) {
    if (text == row.name) return row.reason;
  }
  return std::nullopt;
}

std::string states_mermaid() {
  std::string text = "stateDiagram-v2\n  [*] --> QUEUED\n";
  for (const Transition& t : kTransitions) {
    text += std::string("  ") + to_string(t.from) + " --> " + to_string(t.to) + "\n";
  }
  for (const StateName& row : kStates) {
    if (is_terminal(row.state)) text += std::string("  ") + row.name + " --> [*]\n";
  }
  return text;
}

}  // namespace llmctl
