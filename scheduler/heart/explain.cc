#include "scheduler/heart/explain.h"

#include <algorithm>

#include "core/base/limits.h"
#include "scheduler/heart/fit.h"
#include "scheduler/heart/placement.h"

namespace llmctl {
namespace {

std::string worker_name(const State& state, WorkerId id) {
  const auto worker = state.workers.find(id);
  return worker == state.workers.end() ? "worker " + id.str() : worker->second.name;
}

std::string who_has_the_folder(const State& state, const Job& job) {
  const std::string folder = need_of(job).folder;
  std::string names;
  for (const auto& [id, worker] : state.workers) {
    if (worker.inventory.jobs_folder != folder) continue;
    names += (names.empty() ? "" : ", ") + worker.name + (worker.lost ? " (lost)" : "");
  }
  return names.empty() ? "no known worker" : names;
}

std::string sentence(const State& state, const Job& job, const Refusal& refusal) {
  const std::string name = worker_name(state, refusal.worker);
  const std::string& device = job.spec->resources.device;
  switch (refusal.why) {
    case Refusal::Why::lost:
      return name + " is lost";
    case Refusal::Why::draining:
      return name + " is being drained";
    case Refusal::Why::disconnected:
      return name + " is not connected";
    case Refusal::Why::no_such_device:
      return name + " has no " + (device == "auto" ? "device" : device + " device") +
             " that the job may use";
    case Refusal::Why::unhealthy:
      return name + ": the device is not healthy";
    case Refusal::Why::held: {
      const auto worker = state.workers.find(refusal.worker);
      return name + " takes nothing new for now: " + worker->second.held;
    }
    case Refusal::Why::leftovers:
      return name + " still ends ranks of the time before it was lost";
    case Refusal::Why::folder:
      return name + " does not see the checkpoints of the job, which lie in the jobs folder of " +
             who_has_the_folder(state, job);
    case Refusal::Why::slots:
      if (refusal.have == 0) return name + ": every slot is taken";
      return "needs " + std::to_string(refusal.need) + " ranks, " + std::to_string(refusal.have) +
             " would find a place now";
    case Refusal::Why::memory:
      break;
  }
  return "needs " + format_bytes(refusal.need) + ", " +
         (refusal.for_ever
              ? "at most " + format_bytes(refusal.have) + " on " + name
              : format_bytes(std::max<Bytes>(refusal.have, 0)) + " is free on " + name);
}

// The headline is the refusal that is closest to being a place: a device that is full for now comes
// first, then one that takes no ranks now, then one that is not there, and last one that could
// never hold the job.
int distance(const Refusal& refusal) {
  if (refusal.for_ever) return 3;
  switch (refusal.why) {
    case Refusal::Why::memory:
    case Refusal::Why::slots:
      return 0;
    case Refusal::Why::leftovers:
    case Refusal::Why::held:
    case Refusal::Why::draining:
    case Refusal::Why::unhealthy:
      return 1;
    default:
      return 2;
  }
}

std::string next_step_for(const Refusal& refusal) {
  if (refusal.for_ever) {
    return refusal.why == Refusal::Why::memory
               ? "add a worker with more memory, or submit with a smaller model or sequence_len"
               : "add a worker with such a device, or change resources.device";
  }
  switch (refusal.why) {
    case Refusal::Why::memory:
    case Refusal::Why::slots:
      return "it starts by itself when running jobs end; llmctl priority moves it forward";
    case Refusal::Why::leftovers:
      return "it starts by itself when they are gone";
    case Refusal::Why::held:
      return "make room there; it is tried again every " + format_duration(limits::kWorkerHold);
    case Refusal::Why::draining:
      return "llmctl drain --undo opens the worker again";
    case Refusal::Why::unhealthy:
      return "llmctl workers shows the device";
    case Refusal::Why::folder:
      return "start the worker that has them, or mount its jobs folder where others have theirs";
    default:
      return "start the worker again; llmctl workers shows when it was last seen";
  }
}

const Job* prober_for(const State& state, const Job& job) {
  if (job.fitted || !state.index.probing.contains(job.fit_key)) return nullptr;
  for (const JobId id : state.index.live) {
    const Job& other = state.jobs.at(id);
    const bool probing = other.attempt->kind == AttemptKind::probe;
    if (probing && other.fit_key == job.fit_key) return &other;
  }
  return nullptr;
}

Explanation explain_refusals(const State& state,
                             const Job& job,
                             const std::vector<Refusal>& refusals) {
  if (refusals.empty()) {
    return {"waiting for a worker: there is none", {}, "start one with llmctl-worker"};
  }
  const auto nearest = std::min_element(
      refusals.begin(), refusals.end(),
      [](const Refusal& a, const Refusal& b) { return distance(a) < distance(b); });
  Explanation out;
  const bool memory = nearest->why == Refusal::Why::memory;
  out.headline = std::string("waiting for ") + (memory ? "memory: " : "a place: ") +
                 sentence(state, job, *nearest);
  for (const Refusal& refusal : refusals) out.evidence.push_back(sentence(state, job, refusal));
  out.next_step = next_step_for(*nearest);
  return out;
}

Explanation explain_queued(const State& state, const Job& job, const SchedulerConfig& config) {
  if (job.attempt) {
    return {
        "waiting for its old ranks to leave", {}, "it is queued again as soon as they are gone"};
  }
  if (const Job* prober = prober_for(state, job)) {
    return {
        "waiting for the probe of job " + prober->id.str() + ", which measures for this one too",
        {},
        "it is placed when that probe ends"};
  }
  Job fitted = job;  // as the next pass will see it
  const std::optional<Plan> known = plan_from_profiles(state, job, config);
  if (!job.fitted && known) {
    fitted.plan = *known;
    fitted.fitted = true;
  }
  const Placement placement = place(state, fitted, config);
  if (const auto* refusals = std::get_if<std::vector<Refusal>>(&placement)) {
    return explain_refusals(state, job, *refusals);
  }
  size_t ahead = 0;
  for (const auto& [need, group] : state.index.queue) {
    ahead += static_cast<size_t>(std::distance(group.begin(), group.lower_bound(queue_key(job))));
  }
  if (ahead == 0) return {"it is next: there is room for it", {}, "it starts by itself"};
  return {"waiting for its turn: " + std::to_string(ahead) + " jobs are before it",
          {"there is room for it now, unless a job that has waited long needs it"},
          "llmctl priority moves it forward"};
}

std::string plan_line(const Plan& plan) {
  std::string line = "plan: micro-batch " + std::to_string(plan.micro_batch_size) + " (" +
                     to_string(plan.micro_batch_origin) + ") x " +
                     std::to_string(plan.gradient_accumulation_steps) + " accumulation";
  line += checkpointing_text(plan.gradient_checkpointing);
  line += plan.peak_bytes_measured > 0
              ? ", " + format_bytes(plan.peak_bytes_measured) + " measured"
              : ", " + format_bytes(plan.peak_bytes_predicted) + " predicted";
  if (plan.oom_refits > 0) line += ", made smaller " + std::to_string(plan.oom_refits) + " times";
  return line;
}

Explanation explain_active(const State& state, const Job& job) {
  Explanation out{std::string(to_string(job.state)) + ": " + describe(job.reason), {}, ""};
  if (!job.attempt) return out;
  const std::string& phase = job.progress.phase;
  if (job.state != JobState::running && !phase.empty()) out.evidence.push_back("now: " + phase);
  for (size_t i = 0; i < job.attempt->grants.size(); ++i) {
    const Grant& grant = job.attempt->grants[i];
    const RankState& rank = job.attempt->ranks[i];
    out.evidence.push_back("rank " + std::to_string(i) + " on " + worker_name(state, grant.worker) +
                           " " + device_label(grant.device_kind, grant.device_index) + ", " +
                           format_bytes(grant.bytes) +
                           (rank.gone ? ", gone"
                            : rank.up ? ", up"
                                      : ", starting"));
  }
  out.next_step = "llmctl watch " + job.id.str();
  return out;
}

std::string step_for_failure(const Job& job) {
  const std::string id = job.id.str();
  switch (job.reason) {
    case Reason::bad_input:
      return "correct the job file and submit it again; llmctl logs " + id + " has the details";
    case Reason::does_not_fit:
    case Reason::oom:
      return "use a smaller model or sequence_len, or a device with more memory";
    case Reason::not_understood:
      return "llmctl show " + id + " -o json has its spec: correct it and submit it again";
    case Reason::nonfinite:
      return "lower learning_rate or raise warmup_steps, then submit again";
    case Reason::storage_full:
      return "make room where the checkpoints are written, then llmctl retry " + id;
    default:
      return "llmctl logs " + id + " shows why; llmctl retry " + id + " continues from there";
  }
}

}  // namespace

Explanation explain(const State& state, const Job& job, const SchedulerConfig& config) {
  Explanation out;
  switch (job.state) {
    case JobState::queued:
      out = explain_queued(state, job, config);
      break;
    case JobState::recovering:
      out = {std::string("recovering: ") + describe(job.reason), {}, ""};
      out.next_step = job.attempt ? "it goes on when all its ranks are gone"
                                  : "it is queued again after a short wait";
      break;
    case JobState::paused:
      out = {"paused by a user", {}, "llmctl resume " + job.id.str()};
      break;
    case JobState::failed:
      out = {std::string("failed: ") + describe(job.reason), {}, step_for_failure(job)};
      break;
    case JobState::succeeded:
    case JobState::canceled:
      out = {describe(job.reason), {}, ""};
      break;
    default:
      out = explain_active(state, job);
  }
  if (!job.detail.empty()) out.evidence.push_back(job.detail);
  if (job.fitted) out.evidence.push_back(plan_line(job.plan));
  if (job.restarts > 0) {
    out.evidence.push_back("restarted " + std::to_string(job.restarts) + " of " +
                           std::to_string(job.spec->retry.max_restarts) + " times");
  }
  return out;
}

}  // namespace llmctl
