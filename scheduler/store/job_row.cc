#include "scheduler/store/job_row.h"

#include "proto/checks.h"
#include "proto/convert.h"

namespace llmctl {
namespace {

std::string worker_name(const State& state, WorkerId id) {
  const auto worker = state.workers.find(id);
  return worker == state.workers.end() ? "worker " + id.str() : worker->second.name;
}

v1::Rank rank_view(const State& state, const Grant& grant, const RankState& rank) {
  v1::Rank out;
  out.set_rank(grant.rank);
  out.set_worker(worker_name(state, grant.worker));
  out.set_device(device_label(grant.device_kind, grant.device_index));
  out.set_bytes(grant.bytes);
  out.set_up(rank.up);
  out.set_gone(rank.gone);
  if (rank.gone) out.set_outcome(to_string(rank.outcome));
  out.set_pid(rank.pid);
  return out;
}

// Seconds of training that are left; 0: unknown.
double eta_seconds(const Job& job) {
  if (is_terminal(job.state) || job.progress.steps <= 0) return 0;
  const double seconds_per_step =
      job.progress.seconds_per_step > 0 ? job.progress.seconds_per_step : job.plan.seconds_per_step;
  return static_cast<double>(job.progress.steps - job.progress.step) * seconds_per_step;
}

}  // namespace

v1::Job job_summary(const State& state, const Job& job) {
  v1::Job out;
  out.set_id(job.id.value);
  out.set_name(wire::utf8(job.spec->name));
  out.set_state(to_string(job.state));
  out.set_reason(to_string(job.reason));
  out.set_detail(wire::detail(job.detail));
  out.set_priority(job.priority);
  out.set_attempts(job.attempts);
  out.set_restarts(job.restarts);
  out.set_epoch(job.epoch.value);
  *out.mutable_plan() = to_wire(job.plan);
  *out.mutable_progress() = to_wire(job.progress);
  if (job.sample) *out.mutable_sample() = to_wire(*job.sample);
  for (const JobCheckpoint& checkpoint : job.checkpoints) {
    v1::Checkpoint& written = *out.add_checkpoints();
    written = to_wire(checkpoint.commit);
    written.set_epoch(checkpoint.epoch.value);
  }
  if (job.attempt) {
    for (size_t i = 0; i < job.attempt->grants.size(); ++i) {
      *out.add_ranks() = rank_view(state, job.attempt->grants[i], job.attempt->ranks[i]);
    }
  }
  out.set_submitted_unix_ms(job.submitted_unix_ms);
  out.set_started_unix_ms(job.started_unix_ms);
  out.set_moved_unix_ms(job.moved_unix_ms);
  out.set_retry_of(job.retry_of.value);
  out.set_eta_seconds(eta_seconds(job));
  out.set_last_seq(state.last_seq.value);
  return out;
}

JobRecord job_record(const State& state, const Job& job, bool finished) {
  JobRecord record;
  record.job = job_summary(state, job);
  record.idempotency_key = job.idempotency_key;
  record.labels = job.spec->labels;
  record.finished = finished;
  return record;
}

Result<Job> finished_job(const v1::Job& record) {
  Job job;
  job.id = JobId{record.id()};
  job.spec = SharedSpec::stored(record.spec_json());
  job.state = TRY(wire::enumerator("state", record.state(), parse_job_state));
  job.reason = TRY(wire::enumerator("reason", record.reason(), parse_reason));
  job.detail = record.detail();
  job.priority = record.priority();
  job.attempts = record.attempts();
  job.restarts = record.restarts();
  job.epoch = Epoch{record.epoch()};
  job.plan = TRY(wire::inside("plan", from_wire(record.plan())));
  job.progress = TRY(wire::inside("progress", from_wire(record.progress())));
  if (record.has_sample()) job.sample = TRY(wire::inside("sample", from_wire(record.sample())));
  for (const v1::Checkpoint& checkpoint : record.checkpoints()) {
    job.checkpoints.push_back({TRY(from_wire(checkpoint)), Epoch{checkpoint.epoch()}});
  }
  job.retry_of = JobId{record.retry_of()};
  job.submitted_unix_ms = record.submitted_unix_ms();
  job.started_unix_ms = record.started_unix_ms();
  job.moved_unix_ms = record.moved_unix_ms();
  return job;
}

}  // namespace llmctl
