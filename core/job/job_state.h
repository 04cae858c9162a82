// The life of a job as a table. Anything not in the table is illegal; SUCCEEDED, FAILED and
// CANCELED are final. docs/STATES.md is drawn from it by a test.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace llmctl {

enum class JobState {
  queued,      // waiting for a place (fitted or not)
  probing,     // a probe measures candidate plans
  starting,    // ranks are granted and being spawned
  running,     // every rank has reported
  preempting,  // asked to checkpoint and leave; will be queued again (drain)
  recovering,  // an attempt was lost; waits for the old ranks to be gone and for the backoff
  paused,      // by the user; its checkpoint waits
  succeeded,
  failed,
  canceled,
};

// Why a job is where it is: machine-readable, stable, one per transition.
enum class Reason {
  none,
  submitted,
  needs_probe,      // queued -> probing
  fitted,           // probing -> queued
  placed,           // queued -> starting
  all_ranks_up,     // starting -> running
  finished,         // -> succeeded
  oom,              // out of device memory: smaller plan, or failed when none is left
  rank_crashed,     // a rank ended with a signal or a non-zero code
  worker_lost,      // lease and grace passed
  hang,             // no report of a rank for the hang timeout
  nonfinite,        // too many NaN/Inf steps in a row
  bad_input,        // the trainer refused the data, model or tokenizer: retrying cannot help
  checkpoint_lost,  // no committed checkpoint could be read
  storage_full,     // no space for a checkpoint
  does_not_fit,     // no plan fits any device of the cluster
  retries_exhausted,
  drained,       // its worker is being drained
  backoff_over,  // recovering -> queued
  user_canceled,
  user_paused,
  user_resumed,
  too_small,       // probing -> queued: a device with more is asked next
  not_understood,  // stored by a program with other rules
};

struct Transition {
  JobState from, to;
};

inline constexpr auto kTransitions = std::to_array<Transition>({
    {JobState::queued, JobState::probing},        {JobState::queued, JobState::starting},
    {JobState::queued, JobState::paused},         {JobState::queued, JobState::failed},
    {JobState::queued, JobState::canceled},       {JobState::probing, JobState::queued},
    {JobState::probing, JobState::recovering},    {JobState::probing, JobState::paused},
    {JobState::probing, JobState::failed},        {JobState::probing, JobState::canceled},
    {JobState::starting, JobState::running},      {JobState::starting, JobState::preempting},
    {JobState::starting, JobState::recovering},   {JobState::starting, JobState::paused},
    {JobState::starting, JobState::succeeded},    {JobState::starting, JobState::failed},
    {JobState::starting, JobState::canceled},     {JobState::running, JobState::preempting},
    {JobState::running, JobState::recovering},    {JobState::running, JobState::paused},
    {JobState::running, JobState::succeeded},     {JobState::running, JobState::failed},
    {JobState::running, JobState::canceled},      {JobState::preempting, JobState::queued},
    {JobState::preempting, JobState::recovering}, {JobState::preempting, JobState::paused},
    {JobState::preempting, JobState::succeeded},  {JobState::preempting, JobState::failed},
    {JobState::preempting, JobState::canceled},   {JobState::recovering, JobState::queued},
    {JobState::recovering, JobState::paused},     {JobState::recovering, JobState::failed},
    {JobState::recovering, JobState::canceled},   {JobState::paused, JobState::queued},
    {JobState::paused, JobState::succeeded},      {JobState::paused, JobState::failed},
    {JobState::paused, JobState::canceled},
});

constexpr bool is_terminal(JobState s) {
  return s == JobState::succeeded || s == JobState::failed || s == JobState::canceled;
}
// A live attempt may exist in these states (also while it is being stopped).
constexpr bool is_active(JobState s) {
  return s == JobState::probing || s == JobState::starting || s == JobState::running ||
         s == JobState::preempting;
}
constexpr bool may_move(JobState from, JobState to) {
  for (const Transition& t : kTransitions) {
    if (t.from == from && t.to == to) return true;
  }
  return false;
}

namespace detail {
constexpr bool table_is_sound() {
  for (size_t i = 0; i < kTransitions.size(); ++i) {
    if (is_terminal(kTransitions[i].from) || kTransitions[i].from == kTransitions[i].to)
      return false;
    for (size_t j = 0; j < i; ++j) {
      if (kTransitions[i].from == kTransitions[j].from &&
          kTransitions[i].to == kTransitions[j].to) {
        return false;
      }
    }
  }
  return true;
}
}  // namespace detail
static_assert(detail::table_is_sound(), "terminal states are final; no row twice; no self-loop");

const char* to_string(JobState state);  // "QUEUED" …
const char* to_string(Reason reason);   // "worker_lost" …
std::optional<JobState> parse_job_state(std::string_view text);
std::optional<Reason> parse_reason(std::string_view text);
const char* describe(Reason reason);  // one plain sentence for people
std::string states_mermaid();         // the table as a mermaid stateDiagram

}  // namespace llmctl
