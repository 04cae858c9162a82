// Scene: one State under the real decide() and apply(), with a clock that the test moves, workers
// that say what the test wants, and sanity_problems() after every decision.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "scheduler/heart/decide.h"

namespace llmctl {

inline constexpr Bytes kGiB = 1 << 30;

JobSpec small_job();                                 // one rank of a tiny model, batch of 8
JobSpec gang_job(int64_t ranks);                     // the same with several ranks
Inventory cpu_box(Bytes memory, int32_t slots = 4);  // a CPU worker
Inventory gpu_box(int gpus, Bytes memory);           // a worker with CUDA devices

// Of step `step`, written by attempt `epoch`: its path is "e<epoch>-s<step>".
CheckpointCommitted checkpoint_at(int64_t step, int64_t epoch = 2);

class Scene {
 public:
  Scene() { state.started_boot_ms = now; }

  State state;
  SchedulerConfig config;
  Millis now = 1'000'000;
  std::vector<Event> events;  // of all decisions
  std::map<JobId, JobMoved> last_move;

  Decision give(InputBody body);
  void tick() { give(TickInput{}); }
  void wait(Millis ms);  // moves the clock and ticks

  WorkerId hello(const std::string& name,
                 Inventory inventory = cpu_box(8 * kGiB),
                 std::vector<RunStatus> runs = {},
                 const std::string& instance = "first");
  void heartbeat(WorkerId worker, std::vector<RunStatus> runs);
  void report(JobId job, int32_t rank, RankReport report);

  JobId submit(JobSpec spec = small_job(), const std::string& key = "");
  void probe_ends(JobId job);  // done: peaks are 9/10 of the prediction
  void all_up(JobId job);
  void ends(JobId job, int32_t rank, Outcome outcome);
  JobId running(JobSpec spec = small_job());  // submitted, probed, placed, every rank up
  void keep_alive(Millis ms);                 // time passes, every worker sends heartbeats

  const Job& job(JobId id) const { return state.jobs.at(id); }
  bool live(JobId id) const { return state.jobs.contains(id); }
  JobState state_of(JobId id) const;
  std::vector<RunStatus> runs_on(WorkerId worker) const;  // all desired ones, up
  RunStatus run(JobId job, int32_t rank) const;           // of the live attempt, up
  int count(const char* event) const;                     // so far, by name
  int64_t promised_ranks() const;
};

}  // namespace llmctl
