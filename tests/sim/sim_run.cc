// What a simulated trainer does with its time: probe, or resume, step, save, leave and end.
#include <algorithm>
#include <cstdint>
#include <string>

#include "world.h"

namespace llmctl::sim {

static constexpr Millis kSaveEvery = 1'300;  // at most two saves in one lease
static constexpr size_t kSavesKept = 4;      // more than can be made without being heard

void SimWorker::step_run(SimRun& run) {
  if (!run.alive()) return;
  if (run.dies_at && world_.now() >= *run.dies_at) return end(run, Outcome::killed);
  if (world_.now() > run.lease_until) {  // waits
    run.next_at = std::max(run.next_at, world_.now() + 50);
    return;
  }
  if (world_.now() < run.next_at) return;
  if (run.status.phase == RunStatus::Phase::spawning) return begin(run);
  if (run.hangs) return end(run, Outcome::hang);
  if (run.config.mode == "probe") return probe(run);
  if (lonely(run)) return;
  train(run);
}

void SimWorker::end(SimRun& run, Outcome outcome) {
  run.status.phase = RunStatus::Phase::ended;
  run.status.outcome = outcome;
  world_.say(name_, "job " + run.status.job.str() + " e" + run.status.epoch.str() +
                        " ends: " + to_string(outcome));
}

void SimWorker::begin(SimRun& run) {
  run.status.phase = RunStatus::Phase::up;
  run.status.pid = run.status.job.value * 100 + run.status.epoch.value;
  run.next_at = world_.now() + kSaveEvery;
  if (run.config.resume.empty() || run.config.mode == "probe") return;
  const auto& disk = world_.storage()[run.status.job];
  auto newest = disk.end();
  for (const std::string& entry : run.config.resume) {
    newest = disk.find(entry.substr(entry.rfind('/') + 1));
    if (newest != disk.end()) break;
  }
  // Retention may have removed all that the scheduler knows of while nobody could tell it about
  // newer ones; those are whole, so they serve as well.
  for (auto each = disk.begin(); newest == disk.end() && each != disk.end(); ++each) {
    newest = each;
  }
  if (newest == disk.end()) {
    world_.checkers().complain("job " + run.status.job.str() + ": no checkpoint is left");
    return end(run, Outcome::checkpoint_lost);
  }
  run.step = newest->second;
  run.kept = {newest->first};
}

void SimWorker::probe(SimRun& run) {
  for (const Plan& plan : run.config.candidates) {
    ProbeResult result{plan.micro_batch_size, plan.gradient_checkpointing, false, {}, 0, 0};
    result.peak_bytes = plan.peak_bytes_predicted;
    result.oom = result.peak_bytes > run.config.memory_cap_bytes;
    result.seconds_per_micro_batch = 0.1 + 0.05 * static_cast<double>(plan.micro_batch_size);
    run.status.probes.push_back(result);
  }
  end(run, Outcome::done);
}

// A rank whose peer is gone cannot step, and gives up after a while.
bool SimWorker::lonely(SimRun& run) {
  if (run.config.world_size == 1) return false;
  int32_t there = 0, done = 0;
  for (const SimRun* peer : world_.gang(run.status.job, run.status.epoch)) {
    if (peer->status.phase == RunStatus::Phase::up) ++there;
    if (!peer->alive() && peer->status.outcome == Outcome::done) ++done;
    if (!peer->alive() && peer->status.outcome == Outcome::left) ++done;
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
  if (world_.now() - run.lonely_since > 5'000) end(run, Outcome::crashed);
  return true;
}

void SimWorker::train(SimRun& run) {
  run.next_at = world_.now() + kSaveEvery;
  const auto true_peak = static_cast<Bytes>(
      world_.lie_of(run.status.job) * static_cast<double>(run.config.plan.peak_bytes_predicted));
  if (true_peak > run.config.memory_cap_bytes) return end(run, Outcome::oom);
  if (run.config.rank != 0) {  // rank 0 leads
    run.next_at = world_.now() + 100;
    return;
  }
  run.step += 10;
  save(run);
  if (run.step >= *run.config.spec.max_steps) return end(run, Outcome::done);
  if (run.leave) end(run, Outcome::left);
}

void SimWorker::save(SimRun& run) {
  const std::string path = "e" + run.status.epoch.str() + "-s" + std::to_string(run.step);
  world_.storage()[run.status.job][path] = run.step;
  run.facts.push_back({run.step, run.step * 512, path, 1'000, 3.0, path});
  run.kept.push_back(path);
  if (welcomed_) {
    send(ReportInput{id_, run.status.job, run.status.epoch, 0, run.facts.back()});
  }
  if (run.kept.size() <= kSavesKept) return;
  const std::string oldest = run.kept.front();
  run.kept.erase(run.kept.begin());
  world_.storage()[run.status.job].erase(oldest);
  run.removals.push_back({oldest, false});
  if (welcomed_) {
    send(ReportInput{id_, run.status.job, run.status.epoch, 0, run.removals.back()});
  }
}

}  // namespace llmctl::sim
