#include "scheduler/heart/state.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/plan/plan_search.h"

namespace llmctl {
namespace {

// One overload per event that changes a job by itself.
struct JobFold {
  Job& job;
  const Event& event;

  void operator()(const JobSubmitted& body) const {
    job.id = event.job;
    job.spec = body.spec;
    job.idempotency_key = body.idempotency_key;
    job.retry_of = body.retry_of;
    job.inherited = body.inherited;
    job.priority = body.spec->priority;
    job.fit_key = profile_key(*body.spec, "");
    job.queued_boot_ms = event.boot_ms;
    job.submitted_unix_ms = job.moved_unix_ms = event.unix_ms;
  }
  void operator()(const JobMoved& body) const {
    CHECK(job.state == body.from && may_move(body.from, body.to));
    job.state = body.to;
    job.reason = body.reason;
    job.detail = body.detail;
    job.moved_unix_ms = event.unix_ms;
    if (body.to == JobState::running && job.started_unix_ms == 0) {
      job.started_unix_ms = event.unix_ms;
    }
    if (body.to == JobState::queued) job.queued_boot_ms = event.boot_ms;
    if (body.to == JobState::recovering) {
      job.not_before_boot_ms = event.boot_ms + body.backoff_ms;
      const bool not_its_fault = body.reason == Reason::oom || body.reason == Reason::storage_full;
      if (!not_its_fault) ++job.restarts;
    }
  }
  void operator()(const JobPlanned& body) const {
    job.plan = body.plan;
    job.fitted = true;
  }
  void operator()(const PriorityChanged& body) const { job.priority = body.priority; }
  void operator()(const AttemptGranted& body) const {
    CHECK(!job.attempt && event.epoch > job.epoch && !body.grants.empty());
    job.epoch = event.epoch;
    if (body.kind == AttemptKind::train) ++job.attempts;
    Attempt& attempt = job.attempt.emplace();
    attempt.epoch = event.epoch;
    attempt.granted_boot_ms = event.boot_ms;
    attempt.kind = body.kind;
    attempt.grants = body.grants;
    attempt.ranks.resize(body.grants.size());
  }
  void operator()(const AttemptStopping& body) const {
    Attempt& attempt = live_attempt();
    attempt.stopping = true;
    attempt.stop_checkpoint = body.checkpoint;
    attempt.stop_reason = body.reason;
    attempt.stop_since_boot_ms = event.boot_ms;
  }
  void operator()(const RankGone& body) const {
    Attempt& attempt = live_attempt();
    RankState& rank = attempt.ranks.at(static_cast<size_t>(body.rank));
    CHECK(!rank.gone);
    rank.gone = true;
    rank.outcome = body.outcome;
    rank.detail = body.detail;
    if (attempt.kind == AttemptKind::probe) job.progress.phase.clear();
    if (body.outcome == Outcome::oom && attempt.kind == AttemptKind::train) {
      const Bytes granted = attempt.grants[static_cast<size_t>(body.rank)].bytes;
      job.bytes_floor = std::max(job.bytes_floor, granted);
    }
    const auto gone = [](const RankState& each) { return each.gone; };
    if (std::all_of(attempt.ranks.begin(), attempt.ranks.end(), gone)) job.attempt.reset();
  }
  void operator()(const RankUp& body) const {
    RankState& rank = live_attempt().ranks.at(static_cast<size_t>(body.rank));
    rank.up = true;
    rank.pid = body.pid;
  }
  void operator()(const ProbeMeasured& body) const {
    const auto ran_out = [](const ProbeResult& result) { return result.oom; };
    const bool all = std::all_of(body.results.begin(), body.results.end(), ran_out);
    if (all && !job.fitted) job.bytes_floor = std::max(job.bytes_floor, body.cap_bytes);
  }
  void operator()(const CheckpointCommitted& body) const {
    job.checkpoints.push_back({body, event.epoch});
    if (job.checkpoints.size() > kKnownCheckpoints) job.checkpoints.erase(job.checkpoints.begin());
  }
  void operator()(const CheckpointRemoved& body) const {
    std::erase_if(job.checkpoints,
                  [&](const JobCheckpoint& kept) { return kept.commit.path == body.path; });
  }
  void operator()(const SampleGenerated& body) const { job.sample = body; }
  void operator()(const Progressed& body) const { job.progress = body; }
  template <class Other>
  void operator()(const Other&) const {}  // of State or of a worker

 private:
  Attempt& live_attempt() const {
    CHECK(job.attempt && job.attempt->epoch == event.epoch);
    return *job.attempt;
  }
};

// Newer measurements replace older ones of the same plan.
void learn(Profile& profile, const ProbeMeasured& measured, Seq seq) {
  profile.learned = seq;
  profile.cap_bytes = std::max(profile.cap_bytes, measured.cap_bytes);
  for (const ProbeResult& result : measured.results) {
    const auto same = [&](const ProbeResult& known) {
      return known.micro_batch_size == result.micro_batch_size &&
             known.gradient_checkpointing == result.gradient_checkpointing;
    };
    const auto known = std::find_if(profile.results.begin(), profile.results.end(), same);
    if (known != profile.results.end()) {
      *known = result;
    } else if (profile.results.size() < limits::kProbeCandidates) {
      profile.results.push_back(result);
    }
  }
}

void forget_the_oldest(std::map<std::string, Profile>& profiles) {
  profiles.erase(std::min_element(profiles.begin(), profiles.end(), [](auto& one, auto& other) {
    return one.second.learned < other.second.learned;
  }));
}

void update_open(State& state, WorkerId id) {
  const auto worker = state.workers.find(id);
  if (worker != state.workers.end()) state.index.update_open(worker->second);
}

// Events of ranks are frequent and change nothing in the index.
bool moves_index(const Event& event) {
  return !std::holds_alternative<Progressed>(event.body) &&
         !std::holds_alternative<RankUp>(event.body) &&
         !std::holds_alternative<CheckpointCommitted>(event.body) &&
         !std::holds_alternative<CheckpointRemoved>(event.body) &&
         !std::holds_alternative<SampleGenerated>(event.body);
}

void move_promises(State& state, const Job& before, const Event& event) {
  if (const auto* granted = std::get_if<AttemptGranted>(&event.body)) {
    for (const Grant& grant : granted->grants) {
      state.index.promise(event.job, grant);
      update_open(state, grant.worker);
    }
  } else if (const auto* gone = std::get_if<RankGone>(&event.body)) {
    const Grant& grant = before.attempt->grants.at(static_cast<size_t>(gone->rank));
    state.index.release(event.job, grant);
    update_open(state, grant.worker);
  }
}

void apply_to_job(State& state, const Event& event) {
  if (const auto* submitted = std::get_if<JobSubmitted>(&event.body)) {
    CHECK(!state.jobs.contains(event.job));
    Job& job = state.jobs[event.job];
    apply(job, event);
    state.index.add(job);
    state.last_job = std::max(state.last_job, event.job);
    if (!submitted->idempotency_key.empty()) state.keys[submitted->idempotency_key] = event.job;
    return;
  }
  const auto found = state.jobs.find(event.job);
  CHECK(found != state.jobs.end());
  Job& job = found->second;
  if (!moves_index(event)) return apply(job, event);
  state.index.remove(job);
  move_promises(state, job, event);
  apply(job, event);
  if (const auto* measured = std::get_if<ProbeMeasured>(&event.body)) {
    learn(state.profiles[measured->profile_key], *measured, event.seq);
    if (state.profiles.size() > kProfiles) forget_the_oldest(state.profiles);
  }
  if (!is_terminal(job.state) || job.attempt) {
    state.index.add(job);
    return;
  }
  state.keys.erase(job.idempotency_key);
  state.jobs.erase(found);
}

void see(State& state, Worker& worker, const Event& event, const WorkerSeen& seen) {
  if (seen.connected) worker.seen_boot_ms = event.boot_ms;
  if (seen.greeting) {
    worker.greeting = *seen.greeting;
    worker.greeted_boot_ms = event.boot_ms;
  }
  const bool same = worker.connected == seen.connected && worker.leftovers == seen.leftovers;
  if (same && seen.devices.empty()) return;
  state.index.remove(worker);
  worker.connected = seen.connected;
  worker.leftovers = seen.leftovers;
  if (!seen.devices.empty()) worker.inventory.devices = seen.devices;
  state.index.add(worker);
}

void forget(State& state, WorkerId id) {
  state.last_worker = std::max(state.last_worker, id);  // no other one gets its number
  const auto worker = state.workers.find(id);
  if (worker == state.workers.end()) return;
  state.index.remove(worker->second);
  state.worker_names.erase(worker->second.name);
  state.workers.erase(worker);
}

void apply_to_worker(State& state, const Event& event) {
  if (std::holds_alternative<WorkerForgotten>(event.body)) return forget(state, event.worker);
  Worker& worker = state.workers[event.worker];
  if (const auto* seen = std::get_if<WorkerSeen>(&event.body)) {
    return see(state, worker, event, *seen);
  }
  state.index.remove(worker);
  if (const auto* registered = std::get_if<WorkerRegistered>(&event.body)) {
    worker.id = event.worker;
    worker.name = registered->name;
    worker.instance = registered->instance;
    worker.inventory = registered->inventory;
    worker.lost = false;
    worker.lost_unix_ms = 0;
    worker.seen_boot_ms = event.boot_ms;
    state.worker_names[worker.name] = worker.id;
    state.last_worker = std::max(state.last_worker, worker.id);
  } else if (const auto* drained = std::get_if<WorkerDrained>(&event.body)) {
    worker.draining = drained->drain;
  } else if (const auto* held = std::get_if<WorkerHeld>(&event.body)) {
    worker.held = held->detail;
    worker.held_boot_ms = event.boot_ms;
  } else if (std::holds_alternative<WorkerLost>(event.body)) {
    worker.lost = true;
    worker.lost_unix_ms = event.unix_ms;
    worker.connected = false;
    worker.leftovers.clear();
  }
  state.index.add(worker);
}

}  // namespace

void apply(Job& job, const Event& event) {
  std::visit(JobFold{job, event}, event.body);
}

void apply(State& state, const Event& event) {
  if (is_durable(event)) {
    CHECK(event.seq > state.last_seq);
    state.last_seq = event.seq;
  }
  if (event.job) {
    apply_to_job(state, event);
  } else {
    apply_to_worker(state, event);
  }
}

bool has_leftovers(const Worker& worker, const Device& device) {
  return worker.leftovers.contains("") ||
         worker.leftovers.contains(device_label(device.kind, device.index));
}

Promised promised(const State& state, WorkerId worker, const Device& device) {
  const auto load = state.index.loads.find(worker);
  if (load == state.index.loads.end()) return {};
  const auto found = load->second.devices.find({device.kind, device.index});
  return found == load->second.devices.end() ? Promised{} : found->second;
}

}  // namespace llmctl
