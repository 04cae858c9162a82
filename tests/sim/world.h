// World: the scheduler's real loop and heart and the workers' real agents, with simulated machines,
// a network, people and faults, in virtual time, one thread, one seed. The same seed gives the same
// history, event by event. Nothing here is asynchronous: every 50 ms of virtual time each part
// takes its step in turn.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkers.h"
#include "sim_scheduler.h"
#include "sim_worker.h"

namespace llmctl::sim {

struct Options {
  uint64_t seed = 1;
  int steps = 1'200;  // with faults; then everything heals and every job has to end
  bool verbose = false;
  Decide decide;  // empty: the real one
};

class World {
 public:
  explicit World(Options options);

  void run();
  const std::vector<std::string>& problems() const { return checkers_.problems(); }

  // What the parts of the world ask of it.
  Millis now() const { return clock_.now; }
  const Clock& clock() const { return clock_; }
  Random& random() { return random_; }
  Checkers& checkers() { return checkers_; }
  SimScheduler& scheduler() { return *scheduler_; }
  std::vector<std::unique_ptr<SimWorker>>& workers() { return workers_; }
  Storage& storage() { return storage_; }
  double lie_of(JobId job) const;  // true peak / predicted peak
  std::vector<SimRun*> gang(const SimRun& of);
  bool faults_over() const { return faults_over_; }
  void say(const std::string& who, const std::string& what) const;

 private:
  void add_worker(int64_t machine, int64_t name, bool shared_folder);
  void step();
  void heal();
  bool everything_ended() const;
  void check_what_runs();

  struct VirtualClock final : Clock {
    Millis now = 1'000'000;
    Millis boot_ms() const override { return now; }
    Millis unix_ms() const override { return now; }
  };

  Options options_;
  VirtualClock clock_;
  Random random_;
  bool faults_over_ = false;
  Checkers checkers_;
  Storage storage_;
  std::unique_ptr<SimScheduler> scheduler_;
  std::vector<std::unique_ptr<SimWorker>> workers_;
  SimWorker* cloned_ = nullptr;  // has the name of the first one
};

}  // namespace llmctl::sim
