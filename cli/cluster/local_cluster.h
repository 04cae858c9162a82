// The local cluster: one scheduler and N workers on this machine, as detached processes of this
// user, recorded in HOME/cluster.json. Level-triggered: bring_up starts whatever of the wanted
// shape does not run, so a second call repairs. One caller at a time (a file lock).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/cluster/home.h"

namespace llmctl {

using Say = std::function<void(const std::string&)>;  // one line for people

struct UpRequest {
  ClusterShape shape;  // fields left at 0 keep what runs, or the default
  Millis patience_ms = 30'000;
};
struct UpReport {
  ClusterRecord record;
  std::vector<std::string> started;  // names; empty: everything ran already
  std::vector<WorkerView> workers;
};
Result<UpReport> bring_up(const Environment& env, const UpRequest& request, const Say& say);

struct DownRequest {
  bool now = false;             // do not wait for checkpoints
  Millis patience_ms = 90'000;  // for running jobs to checkpoint and leave
};
// The names of what was stopped.
Result<std::vector<std::string>> bring_down(const Environment& env,
                                            const DownRequest& request,
                                            const Say& say);

}  // namespace llmctl
