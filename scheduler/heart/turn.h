// Turn: one decision in the making. Reads State as it was before the input, and the jobs it has
// changed as they are now: every event emitted is folded into a copy of its job, so the rest of the
// decision sees it. Lives for one decide(); internal to the heart.
#pragma once

#include "scheduler/heart/decide.h"

namespace llmctl {

class Turn {
 public:
  Turn(const State& before, const Input& input, const SchedulerConfig& settings)
      : state(before), config(settings), boot_ms(input.boot_ms), unix_ms(input.unix_ms) {}

  const State& state;
  const SchedulerConfig& config;
  const Millis boot_ms, unix_ms;
  Decision decision;
  std::set<WorkerId> lost;  // in this turn

  // As of now; nullptr: not live (finished in this turn included).
  const Job* job(JobId id) const;
  const std::map<JobId, Job>& changed() const { return changed_; }

  void emit(JobId id, EventBody body) { emit(id, Epoch{}, std::move(body)); }
  void emit(JobId id, Epoch epoch, EventBody body);  // about an attempt
  void emit(WorkerId id, EventBody body);

  void move(JobId id, JobState to, Reason reason, std::string detail = "", Millis backoff_ms = 0);
  // Asks what is left of the attempt to go. Asking again has no effect, but a kill is stronger.
  void stop(JobId id, bool checkpoint, Reason reason);
  void sync_workers_of(const Job& job);
  void refuse(Code code, std::string message, std::string hint = "");

 private:
  void record(Event event);

  std::map<JobId, Job> changed_;
  int64_t durable_ = 0;
};

// One handler per input; each file of the heart has a few.
void on_submit(Turn& turn, const SubmitInput& input);
void on_cancel(Turn& turn, const CancelInput& input);
void on_pause(Turn& turn, const PauseInput& input);
void on_resume(Turn& turn, const ResumeInput& input);
void on_priority(Turn& turn, const PriorityInput& input);
void on_drain(Turn& turn, const DrainInput& input);
void on_forget(Turn& turn, const ForgetInput& input);
void on_hello(Turn& turn, const HelloInput& input);
void on_heartbeat(Turn& turn, const HeartbeatInput& input);
void on_disconnect(Turn& turn, const DisconnectInput& input);
void on_report(Turn& turn, const ReportInput& input);
void on_tick(Turn& turn, const TickInput& input);

// A rank is known to be gone: the fact and what follows for its job.
struct RankEnd {
  int32_t rank = 0;
  Outcome outcome = Outcome::done;
  std::string detail;
  std::vector<ProbeResult> probes;
};
void on_rank_end(Turn& turn, JobId id, const RankEnd& end);

// Grants what fits, in the order of the queue.
void schedule(Turn& turn);

}  // namespace llmctl
