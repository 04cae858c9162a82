// The pure heart: Decision decide(State, Input). No clock, I/O, thread, random or torch; ties break
// by id. It returns facts (events, stored and applied by the loop), wishes (workers whose desired
// runs changed) and the answer for the caller. One file per kind of input: on_request.cc,
// on_worker.cc, on_tick.cc; queue.cc orders, placement.cc places, fit.cc chooses plans.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/base/limits.h"
#include "core/run/run_config.h"
#include "scheduler/heart/input.h"
#include "scheduler/heart/state.h"

namespace llmctl {

struct SchedulerConfig {
  Millis lease_ms = limits::kLease;
  Millis grace_ms = limits::kGrace;
  Millis stop_grace_ms = limits::kStopGrace;  // checkpoint-and-leave before SIGKILL
  Millis backoff_first_ms = limits::kBackoffFirst;
  double headroom = 0.03;  // of the measured peak
  Bytes headroom_min = 32 << 20;
};

struct Answer {
  std::optional<Error> error;
  JobId job;             // submit, and every verb on a job
  WorkerId worker;       // hello, drain
  bool existed = false;  // submit: the idempotency key was known
};

struct Decision {
  std::vector<Event> events;  // in order; seq already assigned to durable ones
  std::set<WorkerId> sync;    // send these workers their desired runs
  Answer answer;
};

Decision decide(const State& state, const Input& input, const SchedulerConfig& config);
using Decide = std::function<Decision(const State&, const Input&, const SchedulerConfig&)>;

// What a worker should run, computed from State: a run that is not here must not run there.
struct RunOrder {
  RunConfig config;  // job_dir, cache_dir are filled by the worker
  enum class Stop { none, checkpoint, kill } stop = Stop::none;
};
std::vector<RunOrder> desired_runs(const State& state,
                                   WorkerId worker,
                                   const SchedulerConfig& config);

// Why a verb is refused: a final state is final. `state` is its name: "SUCCEEDED".
Error job_has_ended(JobId id, std::string_view state);

}  // namespace llmctl
