// SimHost: a simulated machine behind the agent's Host seam: the folders of its runs and the
// trainers in them, as docs/RUN_DIRECTORY.md describes them. Trainers live on when the agent dies;
// a trainer whose lease is over waits.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "worker/agent/agent.h"

namespace llmctl::sim {

class World;

// What lies in a jobs folder for one job.
struct JobFolder {
  std::string cluster;                   // whose it is; empty: nobody's yet
  std::map<std::string, int64_t> saved;  // checkpoints: by path, the step
};
// By the id of the jobs folder, which machines may share, then by job.
using Storage = std::map<std::string, std::map<int64_t, JobFolder>>;

struct SimRun {
  RunConfig config;
  enum class Phase { spawning, up, ended } phase = Phase::spawning;
  Outcome outcome = Outcome::done;         // ended
  std::vector<worker::ReportLine> report;  // the file of report lines
  size_t read = 0;                         // of the report, by this life of the agent
  bool end_seen = false;                   // by this life of the agent
  std::vector<std::string> kept;           // checkpoints in its care, oldest first
  int64_t step = 0;
  Millis lease_until = 0;
  Millis next_at = 0;       // when the next step is done
  Millis lonely_since = 0;  // a peer is gone
  bool leave = false;
  bool hangs = false;
  std::optional<Millis> dies_at;  // killed; a process takes a while to die
  Outcome verdict = Outcome::killed;
  bool alive() const { return phase != Phase::ended; }
};

class SimHost final : public worker::Host {
 public:
  SimHost(World& world, std::string name, std::string jobs_folder)
      : world_(world), name_(std::move(name)), jobs_folder_(std::move(jobs_folder)) {}

  void step();                       // of every trainer
  void adopt(worker::Agent& agent);  // a new agent finds what is on disk
  void tell(worker::Agent& agent);   // what the trainers have said since the last time
  void crash(bool disk_too);         // with the disk nothing is remembered
  void fill_disk(bool full) { disk_full_ = full; }
  void crash_run(SimRun& run) { end(run, Outcome::crashed); }

  std::map<worker::RunKey, SimRun>& runs() { return runs_; }
  bool works(const SimRun& run) const;  // alive, and its lease lasts
  const std::string& cluster() const { return cluster_; }

  Millis boot_ms() const override;
  std::string jobs_folder() override { return jobs_folder_; }
  void keep_cluster(const std::string& id) override { cluster_ = id; }
  Status start(const RunConfig& config, Millis lease_until_boot_ms) override;
  void renew_lease(const worker::RunKey& run, Millis until_boot_ms) override;
  void ask_to_leave(const worker::RunKey& run) override;
  void kill(const worker::RunKey& run, Outcome why, const std::string& detail) override;
  std::string dump_threads(const worker::RunKey&) override { return "every thread waits"; }
  void retire(const worker::RunKey& run) override;

 private:
  // sim_run.cc: what a trainer does with its time.
  void step_run(SimRun& run);
  void begin(SimRun& run);
  JobFolder& folder(const SimRun& run);
  bool claim(SimRun& run);
  bool resume(SimRun& run);
  void probe(SimRun& run);
  void train(SimRun& run);
  void save(SimRun& run);
  void end(SimRun& run, Outcome outcome);
  bool lonely(SimRun& run);

  World& world_;
  const std::string name_, jobs_folder_;
  std::string cluster_;  // of the last welcome
  bool disk_full_ = false;
  std::map<worker::RunKey, SimRun> runs_;
};

}  // namespace llmctl::sim
