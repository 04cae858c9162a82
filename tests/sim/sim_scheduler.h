// SimScheduler: the real loop over a store in memory, turned by the world's clock. The process may
// crash before a commit (the batch is gone) or right after it (the answers are gone), may be
// stopped for a while, and starts again from what the store has.
#pragma once

#include <prometheus/registry.h>

#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "scheduler/loop/loop.h"
#include "sim_fleet.h"
#include "sim_store.h"

namespace llmctl::sim {

class World;

class SimScheduler final : public LoopListener {
 public:
  SimScheduler(World& world, Decide decide);

  using Reply = std::function<void(const Answer&)>;
  void ask(InputBody body, Reply reply);  // from people; lost while it is down
  void step();
  void crash(bool before_commit);
  void stop_until(Millis end) { stopped_until_ = end; }  // the process is stopped, then goes on
  void lose_store();  // another data directory is in its place when it is back
  bool up() const { return process_ != nullptr; }
  const std::string& cluster() const { return store_.cluster(); }

  const State& state() const;  // empty while it is down
  const std::vector<Event>& log() const { return store_.log(); }
  const SchedulerConfig& config() const { return config_; }

 private:
  struct Process {
    Process(SimScheduler& scheduler, World& world);
    prometheus::Registry registry;
    SchedulerMetrics metrics;
    SimFleet fleet;
    Loop loop;
  };
  void start();
  void end();

  bool committed(std::shared_ptr<const std::vector<Event>> events) override;
  bool events_missed() override { return true; }
  bool desired(WorkerId worker, std::vector<RunOrder> orders) override;
  bool state_reloaded() override;

  World& world_;
  Decide decide_;
  SchedulerConfig config_;
  SimStore store_;
  std::unique_ptr<Process> process_;
  Millis down_until_ = 0, stopped_until_ = 0;
};

}  // namespace llmctl::sim
