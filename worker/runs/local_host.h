// LocalHost: the real Host. Keeps WORK/runs (runs the scheduler may still want) and WORK/ended (the
// newest few, for their logs), starts and adopts runs, and tells what they said since the last
// look. Owned by the worker's loop thread. Holding one takes the lock of the work directory.
#pragma once

#include <map>
#include <set>
#include <variant>

#include "core/base/clock.h"
#include "worker/agent/host.h"
#include "worker/contract/report_line.h"
#include "worker/runs/local_run.h"

namespace llmctl::worker {

struct LocalHostOptions {
  std::filesystem::path work_dir, jobs_dir;
  std::string program;                   // this binary
  std::string trainer;                   // llmctl-trainer
  std::vector<std::string> environment;  // of this process, "NAME=value"
  bool spare_trainer = false;            // keep one loaded ahead of need
};

struct Observed {
  RunKey run;
  std::variant<ReportLine, ExitFile> what;
};
struct FoundRun {
  RunKey run;
  Millis lease_until_boot_ms = 0;
};

class LocalHost final : public Host {
 public:
  // failed_precondition: another worker uses this directory.
  static Result<std::unique_ptr<LocalHost>> open(LocalHostOptions options, const Clock& clock);

  // Once, at start: every run on disk, alive or ended. From then on observe() tells of them.
  std::vector<FoundRun> adopt_all();
  // What the ranks said, in order, and exits after their last line.
  std::vector<Observed> observe();
  bool has_more() const { return more_; }  // observe() again without waiting
  bool idle() const { return runs_.empty(); }
  int wake_fd() const { return inotify_.fd(); }  // readable: something may have happened
  std::set<int64_t> trainer_pids() const;
  // Where the files of a run lie, also of one that has ended; none: unknown or removed.
  std::optional<std::filesystem::path> find(const RunKey& run) const;

  std::string cluster() const;  // as kept; empty: none was

  Millis boot_ms() const override { return clock_.boot_ms(); }
  std::string jobs_folder() override;
  void keep_cluster(const std::string& id) override;
  Status start(const RunConfig& config, Millis lease_until_boot_ms) override;
  void renew_lease(const RunKey& run, Millis until_boot_ms) override;
  void ask_to_leave(const RunKey& run) override;
  void kill(const RunKey& run, Outcome why, const std::string& detail) override;
  std::string dump_threads(const RunKey& run) override;
  void retire(const RunKey& run) override;

 private:
  LocalHost(LocalHostOptions options, const Clock& clock)
      : options_(std::move(options)), clock_(clock), nursery_(options_.program, usual_request()) {}
  std::optional<SpawnRequest> usual_request() const;  // none: no spare
  Result<SpawnRequest> request(const std::map<std::string, std::string>& job_environment) const;
  std::filesystem::path runs_dir() const { return options_.work_dir / "runs"; }
  std::filesystem::path ended_dir() const { return options_.work_dir / "ended"; }
  void prune_ended() const;

  LocalHostOptions options_;
  const Clock& clock_;
  OpenFile lock_, inotify_;
  Nursery nursery_;
  std::map<RunKey, LocalRun> runs_;
  std::set<RunKey> exits_observed_;  // whose exit has been observed
  bool more_ = false;
};

}  // namespace llmctl::worker
