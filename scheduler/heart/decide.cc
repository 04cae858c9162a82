#include "scheduler/heart/decide.h"

#include "core/base/limits.h"
#include "scheduler/heart/turn.h"

namespace llmctl {

const Job* Turn::job(JobId id) const {
  const auto changed = changed_.find(id);
  if (changed != changed_.end()) {
    const Job& job = changed->second;
    return is_terminal(job.state) && !job.attempt ? nullptr : &job;
  }
  const auto found = state.jobs.find(id);
  return found == state.jobs.end() ? nullptr : &found->second;
}

void Turn::record(Event event) {
  event.unix_ms = unix_ms;
  event.boot_ms = boot_ms;
  if (is_durable(event)) event.seq = Seq{state.last_seq.value + ++durable_};
  decision.events.push_back(std::move(event));
}

void Turn::emit(JobId id, Epoch epoch, EventBody body) {
  Event event;
  event.job = id;
  event.epoch = epoch;
  event.body = std::move(body);
  record(std::move(event));
  auto changed = changed_.find(id);
  if (changed == changed_.end()) {
    const auto before = state.jobs.find(id);
    changed = changed_.emplace(id, before == state.jobs.end() ? Job{} : before->second).first;
  }
  apply(changed->second, decision.events.back());
}

void Turn::emit(WorkerId id, EventBody body) {
  Event event;
  event.worker = id;
  event.body = std::move(body);
  record(std::move(event));
}

void Turn::move(JobId id, JobState to, Reason reason, std::string detail, Millis backoff_ms) {
  if (detail.size() > limits::kDetailBytes) detail.resize(limits::kDetailBytes);
  emit(id, JobMoved{job(id)->state, to, reason, std::move(detail), backoff_ms});
}

void Turn::stop(JobId id, bool checkpoint, Reason reason) {
  const Job* one = job(id);
  if (one == nullptr || !one->attempt) return;
  const Attempt& attempt = *one->attempt;
  if (attempt.stopping && (checkpoint || !attempt.stop_checkpoint)) return;
  sync_workers_of(*one);
  emit(id, attempt.epoch, AttemptStopping{checkpoint, reason});
}

void Turn::sync_workers_of(const Job& job) {
  if (!job.attempt) return;
  for (size_t i = 0; i < job.attempt->grants.size(); ++i) {
    if (!job.attempt->ranks[i].gone) decision.sync.insert(job.attempt->grants[i].worker);
  }
}

void Turn::refuse(Code code, std::string message, std::string hint) {
  decision.answer.error = Error{code, std::move(message), std::move(hint)};
}

namespace {

struct Dispatch {
  Turn& turn;
  void operator()(const SubmitInput& input) const { on_submit(turn, input); }
  void operator()(const CancelInput& input) const { on_cancel(turn, input); }
  void operator()(const PauseInput& input) const { on_pause(turn, input); }
  void operator()(const ResumeInput& input) const { on_resume(turn, input); }
  void operator()(const PriorityInput& input) const { on_priority(turn, input); }
  void operator()(const DrainInput& input) const { on_drain(turn, input); }
  void operator()(const ForgetInput& input) const { on_forget(turn, input); }
  void operator()(const HelloInput& input) const { on_hello(turn, input); }
  void operator()(const HeartbeatInput& input) const { on_heartbeat(turn, input); }
  void operator()(const DisconnectInput& input) const { on_disconnect(turn, input); }
  void operator()(const ReportInput& input) const { on_report(turn, input); }
  void operator()(const TickInput& input) const { on_tick(turn, input); }
};

}  // namespace

Decision decide(const State& state, const Input& input, const SchedulerConfig& config) {
  Turn turn(state, input, config);
  std::visit(Dispatch{turn}, input.body);
  return std::move(turn.decision);
}

}  // namespace llmctl
