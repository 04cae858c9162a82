// What people ask for. Every verb may be repeated: asking for what is already so succeeds and
// emits no event.
#include <algorithm>

#include "core/base/limits.h"
#include "scheduler/heart/turn.h"

namespace llmctl {
namespace {

// The live job that a verb is about; nullptr: refused. A canceled job whose ranks still die is
// live too.
const Job* job_asked_for(Turn& turn, JobId id) {
  turn.decision.answer.job = id;
  const Job* job = turn.job(id);
  if (job == nullptr) {
    turn.refuse(Code::not_found, "no live job " + id.str(), "llmctl ls shows all jobs");
  }
  return job;
}

void refuse_final(Turn& turn, const Job& job) {
  turn.decision.answer.error = job_has_ended(job.id, to_string(job.state));
}

// True: the key is known; the answer is set.
bool answered_by_key(Turn& turn, const SubmitInput& input) {
  if (input.idempotency_key.empty()) return false;
  const auto key = turn.state.keys.find(input.idempotency_key);
  JobId twin = input.finished_twin.value_or(JobId{});
  bool same = input.finished_twin_same_spec;
  if (key != turn.state.keys.end()) {
    twin = key->second;
    same = turn.job(twin)->spec == input.spec;
  }
  if (!twin) return false;
  turn.decision.answer.job = twin;
  turn.decision.answer.existed = true;
  if (!same) {
    turn.refuse(Code::already_exists,
                "the idempotency key belongs to job " + twin.str() + ", which is different",
                "use another key, or none");
  }
  return true;
}

// What a retry may continue from: the newest of what its origin left.
std::vector<InheritedCheckpoint> newest_inherited(std::vector<InheritedCheckpoint> inherited) {
  if (inherited.size() > limits::kInheritedCheckpoints) {
    inherited.erase(inherited.begin(), inherited.end() - limits::kInheritedCheckpoints);
  }
  return inherited;
}

}  // namespace

Error job_has_ended(JobId id, std::string_view state) {
  std::string word(state);
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return {Code::failed_precondition, "job " + id.str() + " has ended: " + word,
          "llmctl retry " + id.str() + " makes a new job that continues from it"};
}

void on_submit(Turn& turn, const SubmitInput& input) {
  if (answered_by_key(turn, input)) return;
  if (turn.state.jobs.size() >= limits::kJobsLive) {
    turn.refuse(Code::resource_exhausted,
                "the queue holds " + std::to_string(limits::kJobsLive) + " jobs, its limit",
                "wait for jobs to end, or cancel some");
    return;
  }
  const JobId id{turn.state.last_job.value + 1};
  turn.emit(id, JobSubmitted{input.spec, input.idempotency_key, input.retry_of,
                             newest_inherited(input.inherited)});
  turn.decision.answer.job = id;
}

void on_cancel(Turn& turn, const CancelInput& input) {
  const Job* job = job_asked_for(turn, input.job);
  if (job == nullptr || job->state == JobState::canceled) return;
  if (is_terminal(job->state)) return refuse_final(turn, *job);
  turn.stop(input.job, false, Reason::user_canceled);
  turn.move(input.job, JobState::canceled, Reason::user_canceled);
}

void on_pause(Turn& turn, const PauseInput& input) {
  const Job* job = job_asked_for(turn, input.job);
  if (job == nullptr || job->state == JobState::paused) return;
  if (is_terminal(job->state)) return refuse_final(turn, *job);
  // A probe has nothing worth a checkpoint.
  const bool training = job->attempt && job->attempt->kind == AttemptKind::train;
  turn.stop(input.job, training, Reason::user_paused);
  turn.move(input.job, JobState::paused, Reason::user_paused);
}

void on_resume(Turn& turn, const ResumeInput& input) {
  const Job* job = job_asked_for(turn, input.job);
  if (job == nullptr) return;
  if (is_terminal(job->state)) return refuse_final(turn, *job);
  // The old ranks may still be leaving: the queue waits for them.
  if (job->state == JobState::paused) {
    turn.move(input.job, JobState::queued, Reason::user_resumed);
  }
}

void on_priority(Turn& turn, const PriorityInput& input) {
  const Job* job = job_asked_for(turn, input.job);
  if (job == nullptr) return;
  if (is_terminal(job->state)) return refuse_final(turn, *job);
  if (job->priority != input.priority) turn.emit(input.job, PriorityChanged{input.priority});
}

// 0: there is none of this name, and the caller is told so.
static WorkerId worker_asked_for(Turn& turn, const std::string& worker) {
  const auto name = turn.state.worker_names.find(worker);
  if (name == turn.state.worker_names.end()) {
    turn.refuse(Code::not_found, "no worker \"" + worker + '"', "llmctl workers shows them");
    return {};
  }
  return turn.decision.answer.worker = name->second;
}

void on_forget(Turn& turn, const ForgetInput& input) {
  const WorkerId id = worker_asked_for(turn, input.worker);
  if (!id) return;
  if (!turn.state.workers.at(id).lost) {
    return turn.refuse(Code::failed_precondition, "worker " + input.worker + " is not lost",
                       "only a lost worker can be forgotten; stop it first");
  }
  turn.emit(id, WorkerForgotten{input.worker});
}

void on_drain(Turn& turn, const DrainInput& input) {
  const WorkerId id = worker_asked_for(turn, input.worker);
  if (!id) return;
  if (turn.state.workers.at(id).draining == input.drain) return;
  turn.emit(id, WorkerDrained{input.drain});
  const auto load = turn.state.index.loads.find(id);
  if (!input.drain || load == turn.state.index.loads.end()) return;
  for (const auto& [job_id, rank] : load->second.ranks) {
    const Job* job = turn.job(job_id);
    if (job->attempt->stopping) continue;
    const bool training = job->attempt->kind == AttemptKind::train;
    turn.stop(job_id, training, Reason::drained);
    turn.move(job_id, training ? JobState::preempting : JobState::queued, Reason::drained);
  }
}

}  // namespace llmctl
