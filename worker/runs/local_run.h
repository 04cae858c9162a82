// LocalRun: one run on this machine as the agent sees it, through its directory and its supervisor.
// Started here or adopted after a restart of the agent: from then on there is no difference. Owned
// by LocalHost; loop thread only. Nothing blocks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/run/run_config.h"
#include "worker/contract/run_directory.h"
#include "worker/files/line_splitter.h"
#include "worker/spawn/nursery.h"

namespace llmctl::worker {

class LocalRun {
 public:
  // A directory that exists. `inotify` (or -1) wakes the loop when something happens in it.
  LocalRun(RunDirectory directory, int inotify);
  ~LocalRun();
  LocalRun(LocalRun&&) = default;
  LocalRun(const LocalRun&) = delete;

  // Makes request.directory, its config and its lease, and starts the supervisor in its own
  // session.
  static Result<LocalRun> start(const RunConfig& config,
                                Millis lease_until_boot_ms,
                                SpawnRequest request,
                                Nursery& nursery,
                                int inotify);

  // Report lines written since the last call, at most about a mebibyte; `more` says there are more.
  std::vector<std::string> read_report(bool& more);
  // How it ended, once supervisor and trainer are gone. Writes exit.json for a dead supervisor.
  std::optional<ExitFile> read_exit();

  void ask_to_leave();
  void kill(Outcome why, const std::string& detail);
  const RunDirectory& directory() const { return directory_; }

 private:
  bool open_report(const char* name);
  bool report_was_replaced() const;
  void kill_trainer(const PidFile& pids);
  void watch(const std::filesystem::path& path, uint32_t events);

  RunDirectory directory_;
  int inotify_ = -1;
  std::vector<int> watches_;
  ProcessId supervisor_;  // until pid.json says the same
  OpenFile report_;
  LineSplitter lines_;
  std::optional<ExitFile> exit_;
};

}  // namespace llmctl::worker
