// SimWorker: a small model of the agent, its supervisors and its trainers, as fleet.proto and
// docs/RUN_DIRECTORY.md describe them: it tells all it runs, follows the desired set, stops its
// ranks when its own lease ends, and finds its runs again after a restart of the agent.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "network.h"

namespace llmctl::sim {

class World;

// Checkpoints on disk, shared by all workers: by job and path, the step.
using Storage = std::map<JobId, std::map<std::string, int64_t>>;

struct RunKey {
  JobId job;
  Epoch epoch;
  int32_t rank = 0;
  auto operator<=>(const RunKey&) const = default;
};

struct SimRun {
  RunConfig config;
  RunStatus status;
  std::vector<CheckpointCommitted> facts;  // told again after a reconnect
  std::vector<CheckpointRemoved> removals;
  std::vector<std::string> kept;  // checkpoints in its care, oldest first
  int64_t step = 0;
  Millis lease_until = 0;
  Millis next_at = 0;       // when the next step is done
  Millis lonely_since = 0;  // a peer is gone
  bool leave = false;
  bool hangs = false;
  std::optional<Millis> dies_at;  // killed; a process takes a while to die
  bool alive() const { return status.phase != RunStatus::Phase::ended; }
};

class SimWorker {
 public:
  SimWorker(World& world, std::string name, Inventory inventory);

  void step();
  void crash_agent();                 // its ranks go on
  void crash_machine(bool disk_too);  // its ranks die; with the disk nothing is remembered
  void cut(bool cut) { link_.cut = cut; }
  void hang_up();
  void slow_down(Millis slowness_ms) { link_.slowness_ms = slowness_ms; }
  void heal();

  const std::string& name() const { return name_; }
  const Device& device() const { return inventory_.devices.front(); }
  std::string instance() const { return name_ + "." + std::to_string(instance_); }
  WorkerId id() const { return id_; }
  Link& link() { return link_; }
  std::map<RunKey, SimRun>& runs() { return runs_; }
  bool works(const SimRun& run) const;  // alive, and its lease lasts

 private:
  void dial();
  void receive(const ToWorker& message);
  void follow(const std::vector<RunOrder>& orders);
  void start(const RunOrder& order);
  void renew(Millis until, bool thaw);
  void send(ToScheduler message);
  void step_run(SimRun& run);
  void begin(SimRun& run);
  void probe(SimRun& run);
  void train(SimRun& run);
  void save(SimRun& run);
  void end(SimRun& run, Outcome outcome);
  bool lonely(SimRun& run);
  std::vector<RunStatus> statuses() const;

  World& world_;
  std::string name_;
  Inventory inventory_;
  Link link_;
  WorkerId id_;
  int64_t instance_ = 1;
  bool agent_up_ = true;
  Millis agent_back_at_ = 0;
  bool dialed_ = false, welcomed_ = false;
  bool heard_desired_ = false;  // on this connection
  Millis dialed_at_ = 0, heard_at_ = 0, beat_at_ = 0;
  int64_t beat_ = 0;
  std::map<int64_t, Millis> unanswered_;
  Millis lease_until_ = 0;
  std::optional<std::map<RunKey, RunOrder>> desired_;
  std::map<RunKey, SimRun> runs_;
};

}  // namespace llmctl::sim
