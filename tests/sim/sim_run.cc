// What a simulated trainer does with its time: probe, or resume, step, save, leave and end.
#include <algorithm>
#include <cstdint>
#include <string>

#include "world.h"

namespace llmctl::sim {

static constexpr Millis kSaveEvery = 1'300;  // at most two saves in one lease
static constexpr size_t kSavesKept = 4;      // more than can be made without being heard
static constexpr Millis kLonely = 5'000;     // then a rank without its peers gives up

static std::string name_of(const SimRun& run) {
  return "job " + std::to_string(run.config.job_id) + " e" + std::to_string(run.config.epoch);
}

void SimHost::step_run(SimRun& run) {
  if (!run.alive()) return;
  if (run.dies_at && world_.now() >= *run.dies_at) return end(run, run.verdict);
  if (world_.now() > run.lease_until) {  // waits
    run.next_at = std::max(run.next_at, world_.now() + 50);
    return;
  }
  if (world_.now() < run.next_at || run.hangs) return;
  if (run.phase == SimRun::Phase::spawning) return begin(run);
  if (run.config.mode == "probe") return probe(run);
  if (lonely(run)) return;
  train(run);
}

void SimHost::end(SimRun& run, Outcome outcome) {
  run.phase = SimRun::Phase::ended;
  run.outcome = outcome;
  world_.say(name_, name_of(run) + " ends: " + to_string(outcome));
}

void SimHost::begin(SimRun& run) {
  run.next_at = world_.now() + kSaveEvery;
  if (run.config.mode != "probe" && !(claim(run) && resume(run))) return;
  run.phase = SimRun::Phase::up;
  run.report.emplace_back(worker::UpLine{run.config.job_id * 100 + run.config.epoch});
}

JobFolder& SimHost::folder(const SimRun& run) {
  return world_.storage()[jobs_folder_][run.config.job_id];
}

// Numbers of jobs begin again with a new store. False: it has ended.
bool SimHost::claim(SimRun& run) {
  std::string& owner = folder(run).cluster;
  if (owner.empty()) owner = run.config.cluster_id;
  if (owner == run.config.cluster_id) return true;
  end(run, Outcome::bad_input);
  return false;
}

// False: it has ended.
bool SimHost::resume(SimRun& run) {
  const JobId job{run.config.job_id};
  const auto& disk = folder(run).saved;
  const auto newest = std::max_element(
      disk.begin(), disk.end(),
      [](const auto& one, const auto& other) { return one.second < other.second; });
  if (newest == disk.end()) {
    if (run.config.resume.empty()) return true;
    world_.checkers().complain("job " + job.str() + ": no checkpoint is left");
    end(run, Outcome::checkpoint_lost);
    return false;
  }
  run.step = newest->second;
  run.kept = {newest->first};
  return true;
}

void SimHost::probe(SimRun& run) {
  for (const Plan& plan : run.config.candidates) {
    ProbeResult result{plan.micro_batch_size, plan.gradient_checkpointing, false, {}, 0, 0};
    result.peak_bytes = plan.peak_bytes_predicted;
    result.oom = result.peak_bytes > run.config.memory_cap_bytes;
    result.seconds_per_micro_batch = 0.1 + 0.05 * static_cast<double>(plan.micro_batch_size);
    run.report.emplace_back(result);
  }
  end(run, Outcome::done);
}

// A rank whose peer is gone cannot step, and gives up after a while.
bool SimHost::lonely(SimRun& run) {
  if (run.config.world_size == 1) return false;
  int32_t there = 0, done = 0;
  for (const SimRun* peer : world_.gang(run)) {
    if (peer->phase == SimRun::Phase::up) ++there;
    if (!peer->alive() && peer->outcome == Outcome::done) ++done;
    if (!peer->alive() && peer->outcome == Outcome::left) ++done;
  }
  if (done > 0) {
    end(run, run.leave ? Outcome::left : Outcome::done);
    return true;
  }
  if (there == run.config.world_size) {
    run.lonely_since = 0;
    return false;
  }
  if (run.lonely_since == 0) run.lonely_since = world_.now();
  if (world_.now() - run.lonely_since > kLonely) end(run, Outcome::crashed);
  return true;
}

void SimHost::train(SimRun& run) {
  run.next_at = world_.now() + kSaveEvery;
  const auto true_peak =
      static_cast<Bytes>(world_.lie_of(JobId{run.config.job_id}) *
                         static_cast<double>(run.config.plan.peak_bytes_predicted));
  if (true_peak > run.config.memory_cap_bytes) return end(run, Outcome::oom);
  run.step += 10;
  Progressed progress;
  progress.step = run.step;
  run.report.emplace_back(progress);
  if (run.config.rank != 0) return;  // rank 0 leads
  save(run);
  if (run.step >= *run.config.spec.max_steps) return end(run, Outcome::done);
  if (run.leave) end(run, Outcome::left);
}

void SimHost::save(SimRun& run) {
  const std::string path = "e" + std::to_string(run.config.epoch) + "-s" + std::to_string(run.step);
  auto& disk = folder(run).saved;
  disk[path] = run.step;
  run.report.emplace_back(CheckpointCommitted{run.step, run.step * 512, path, 1'000, 3.0, path});
  run.kept.push_back(path);
  if (run.kept.size() <= kSavesKept) return;
  const std::string oldest = run.kept.front();
  run.kept.erase(run.kept.begin());
  disk.erase(oldest);
  run.report.emplace_back(CheckpointRemoved{oldest, false});
}

}  // namespace llmctl::sim
