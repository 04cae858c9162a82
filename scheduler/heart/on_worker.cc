// What workers say. Level-triggered: statuses repeat until they no longer matter, so only news
// becomes an event, and what State wants but the worker does not have is simply sent again.
// Everything about a run is checked against the live attempt (epoch, rank, worker) first.
#include <algorithm>

#include "core/base/limits.h"
#include "scheduler/heart/turn.h"

namespace llmctl {
namespace {

// The job, when (job, epoch, rank) names a rank of a live attempt that this worker holds.
const Job* live_rank(const Turn& turn, WorkerId worker, JobId id, Epoch epoch, int32_t rank) {
  const Job* job = turn.job(id);
  if (job == nullptr || !job->attempt || job->attempt->epoch != epoch) return nullptr;
  const auto index = static_cast<size_t>(rank);
  if (rank < 0 || index >= job->attempt->grants.size()) return nullptr;
  if (job->attempt->grants[index].worker != worker) return nullptr;
  return job->attempt->ranks[index].gone ? nullptr : job;
}

bool all_started(const Attempt& attempt) {
  for (const RankState& rank : attempt.ranks) {
    if (!rank.up && !(rank.gone && rank.outcome == Outcome::done)) return false;
  }
  return true;
}

void on_up(Turn& turn, const RunStatus& run) {
  const Attempt& attempt = *turn.job(run.job)->attempt;
  if (attempt.ranks[static_cast<size_t>(run.rank)].up) return;
  turn.emit(run.job, run.epoch, RankUp{run.rank, run.pid});
  const Job& job = *turn.job(run.job);
  if (job.state == JobState::starting && all_started(*job.attempt)) {
    turn.move(run.job, JobState::running, Reason::all_ranks_up);
  }
}

void on_status(Turn& turn, WorkerId worker, const RunStatus& run, bool ends_too) {
  if (live_rank(turn, worker, run.job, run.epoch, run.rank) == nullptr) {
    turn.decision.sync.insert(worker);  // a run that is not wanted: tell it so
  } else if (run.phase == RunStatus::Phase::up) {
    on_up(turn, run);
  } else if (run.phase == RunStatus::Phase::ended && ends_too) {
    on_rank_end(turn, run.job, {run.rank, run.outcome, run.detail, run.probes});
  }
}

// Of ranks that ended together, the one that tells why comes first: the others crash because of it.
int gravity(const RunStatus& run) {
  if (run.phase != RunStatus::Phase::ended) return 2;
  const bool consequence = run.outcome == Outcome::crashed || run.outcome == Outcome::killed;
  return consequence ? 1 : 0;
}

void on_statuses(Turn& turn, WorkerId worker, const std::vector<RunStatus>& runs, bool ends_too) {
  for (int pass = 0; pass < 3; ++pass) {
    for (const RunStatus& run : runs) {
      if (gravity(run) == pass) on_status(turn, worker, run, ends_too);
    }
  }
}

// Ranks that State has on this worker and that it does not report.
std::set<std::pair<JobId, int32_t>> unreported(const Turn& turn,
                                               WorkerId worker,
                                               const std::vector<RunStatus>& runs) {
  const auto load = turn.state.index.loads.find(worker);
  if (load == turn.state.index.loads.end()) return {};
  std::set<std::pair<JobId, int32_t>> missing = load->second.ranks;
  for (const RunStatus& run : runs) {
    if (live_rank(turn, worker, run.job, run.epoch, run.rank) != nullptr) {
      missing.erase({run.job, run.rank});
    }
  }
  return missing;
}

// Devices of runs that the worker still has and State does not, because it was lost meanwhile:
// nothing is promised to these runs any more, but their processes still use the device.
std::set<std::string> leftovers(const Turn& turn,
                                WorkerId worker,
                                const std::vector<RunStatus>& runs) {
  std::set<std::string> devices;
  for (const RunStatus& run : runs) {
    if (run.phase == RunStatus::Phase::ended) continue;
    if (live_rank(turn, worker, run.job, run.epoch, run.rank) == nullptr) {
      devices.insert(run.device);
    }
  }
  return devices;
}

// Makes room for a new name: the one that was lost first goes. False: none is lost.
bool forget_a_lost_one(Turn& turn) {
  const Worker* first = nullptr;
  for (const auto& [id, worker] : turn.state.workers) {
    const bool before = first == nullptr || worker.lost_unix_ms < first->lost_unix_ms;
    if (worker.lost && before) first = &worker;
  }
  if (first != nullptr) turn.emit(first->id, WorkerForgotten{first->name});
  return first != nullptr;
}

// A name belongs to the worker that has it while that one is connected, or may hold ranks.
bool has_the_name(const Turn& turn, const Worker& worker) {
  if (worker.lost) return false;
  return worker.connected || !worker.leftovers.empty() ||
         turn.state.index.loads.contains(worker.id);
}

// Why this is not the worker that it says it is; empty: it is, or the name is free.
std::string mistaken(const Turn& turn, const HelloInput& input) {
  const auto known = turn.state.worker_names.find(input.name);
  if (known == turn.state.worker_names.end()) return "";
  const Worker& worker = turn.state.workers.at(known->second);
  const std::string& place = worker.inventory.place;
  if (place == input.inventory.place) {
    const bool older = input.made_boot_ms < worker.greeting.made_boot_ms;
    return older ? "a newer hello of worker " + input.name + " has come" : "";
  }
  if (place.empty() || !has_the_name(turn, worker)) return "";
  const std::string& address = worker.greeting.address;
  return "worker " + input.name + (worker.connected ? " is connected" : " may still run jobs") +
         (address.empty() ? "" : " from " + address) + ", and this is another one, at " +
         input.address;
}

WorkerId register_worker(Turn& turn, const HelloInput& input) {
  const auto known = turn.state.worker_names.find(input.name);
  WorkerId id{turn.state.last_worker.value + 1};
  if (known != turn.state.worker_names.end()) id = known->second;
  bool news = true;
  if (known != turn.state.worker_names.end()) {
    const Worker& worker = turn.state.workers.at(id);
    news = worker.lost || worker.instance != input.instance || worker.inventory != input.inventory;
  }
  if (news) turn.emit(id, WorkerRegistered{input.name, input.instance, input.inventory});
  turn.emit(
      id,
      WorkerSeen{
          true, {}, leftovers(turn, id, input.runs), Greeting{input.address, input.made_boot_ms}});
  return id;
}

// An order that a worker cannot follow, and does not even answer, ends its rank.
void give_up_unnamed(Turn& turn,
                     const Worker& worker,
                     const std::set<std::pair<JobId, int32_t>>& ranks) {
  const Millis patience = 2 * (turn.config.lease_ms + turn.config.grace_ms);
  for (const auto& [id, rank] : ranks) {
    const Job* job = turn.job(id);
    if (job == nullptr || !job->attempt) continue;
    const Millis asked = std::max(
        {job->attempt->granted_boot_ms, worker.greeted_boot_ms, turn.state.started_boot_ms});
    if (turn.boot_ms - asked <= patience) continue;
    on_rank_end(turn, id,
                {rank, Outcome::spawn_failed, "its worker never said that it has it", {}});
  }
}

}  // namespace

// Ends are not taken from a hello: the facts that belong to them (the last checkpoint) come after
// it and before the first heartbeat, which names the ends again.
void on_hello(Turn& turn, const HelloInput& input) {
  const bool known = turn.state.worker_names.contains(input.name);
  if (!known && turn.state.workers.size() >= limits::kWorkers && !forget_a_lost_one(turn)) {
    turn.refuse(Code::resource_exhausted,
                "this scheduler has " + std::to_string(limits::kWorkers) + " workers, its limit");
    return;
  }
  if (const std::string why = mistaken(turn, input); !why.empty()) {
    turn.refuse(Code::already_exists, why,
                "give one of them another --name, or wait until the first one is lost");
    return;
  }
  const WorkerId id = register_worker(turn, input);
  turn.decision.answer.worker = id;
  turn.decision.sync.insert(id);
  on_statuses(turn, id, input.runs, false);
  for (const auto& [job_id, rank] : unreported(turn, id, input.runs)) {
    const Job* job = turn.job(job_id);
    if (job == nullptr || !job->attempt) continue;
    // A rank that never came up may not have been asked for yet: the sync asks again. RankUp is
    // not stored, but a running job had all of them.
    const bool was_up =
        job->attempt->ranks[static_cast<size_t>(rank)].up || job->state == JobState::running;
    if (!was_up) continue;
    on_rank_end(turn, job_id, {rank, Outcome::crashed, "the worker restarted without it", {}});
  }
}

void on_heartbeat(Turn& turn, const HeartbeatInput& input) {
  const auto found = turn.state.workers.find(input.worker);
  if (found == turn.state.workers.end() || found->second.instance != input.instance) {
    turn.refuse(Code::failed_precondition, "a heartbeat of a worker that has not said hello");
    return;
  }
  const Worker& worker = found->second;
  if (worker.lost) {
    // Others may run what it ran. Its lease may not be renewed before it has heard what is wanted
    // now, so it has to begin again.
    turn.refuse(Code::failed_precondition, "worker " + worker.name + " was lost: say hello again");
    return;
  }
  const bool same_devices = input.devices == worker.inventory.devices;
  turn.emit(worker.id, WorkerSeen{true, same_devices ? std::vector<Device>() : input.devices,
                                  leftovers(turn, worker.id, input.runs)});
  const auto missing = unreported(turn, worker.id, input.runs);
  if (!missing.empty()) turn.decision.sync.insert(worker.id);
  on_statuses(turn, worker.id, input.runs, true);
  give_up_unnamed(turn, worker, missing);
}

// Loses nothing: the worker has its lease to come back.
void on_disconnect(Turn& turn, const DisconnectInput& input) {
  const auto found = turn.state.workers.find(input.worker);
  if (found == turn.state.workers.end() || found->second.instance != input.instance) return;
  if (found->second.connected) turn.emit(input.worker, WorkerSeen{false, {}, {}});
}

// Before its first step there is only a phase to tell: of a probe, and of every rank of a gang.
static void on_phase(Turn& turn, const Job& job, const ReportInput& input) {
  const auto* told = std::get_if<Progressed>(&input.report);
  if (told == nullptr || told->phase.empty()) return;
  Progressed now = job.progress;
  now.phase =
      input.rank == 0 ? told->phase : "rank " + std::to_string(input.rank) + ": " + told->phase;
  if (now.phase != job.progress.phase) turn.emit(input.job, input.epoch, now);
}

void on_report(Turn& turn, const ReportInput& input) {
  const Job* job = turn.job(input.job);
  if (job == nullptr || is_terminal(job->state) || !job->attempt) return;
  const Attempt& attempt = *job->attempt;
  const auto rank = static_cast<size_t>(input.rank);
  if (attempt.epoch != input.epoch || input.rank < 0 || rank >= attempt.grants.size() ||
      attempt.grants[rank].worker != input.worker) {
    return;
  }
  const bool starting = job->state == JobState::starting && input.rank > 0;
  if (attempt.kind == AttemptKind::probe || starting) return on_phase(turn, *job, input);
  const auto known = [job](const std::string& path) {
    return std::any_of(job->checkpoints.begin(), job->checkpoints.end(),
                       [&](const JobCheckpoint& kept) { return kept.commit.path == path; });
  };
  const auto possible = [job](int64_t step) {
    return !job->spec->max_steps || step <= *job->spec->max_steps;
  };
  if (const auto* progress = std::get_if<Progressed>(&input.report)) {
    if (input.rank == 0 && possible(progress->step)) turn.emit(input.job, input.epoch, *progress);
  } else if (const auto* made = std::get_if<CheckpointCommitted>(&input.report)) {
    if (known(made->path) || !possible(made->step)) return;
    CheckpointCommitted here = *made;
    here.folder = turn.state.workers.at(input.worker).inventory.jobs_folder;
    turn.emit(input.job, input.epoch, std::move(here));
  } else if (const auto* removed = std::get_if<CheckpointRemoved>(&input.report)) {
    if (known(removed->path)) turn.emit(input.job, input.epoch, *removed);
  } else if (const auto* sample = std::get_if<SampleGenerated>(&input.report)) {
    if (job->sample != *sample) turn.emit(input.job, input.epoch, *sample);
  }
}

}  // namespace llmctl
