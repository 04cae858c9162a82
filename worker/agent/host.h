// The Host seam: everything the agent does to this machine. LocalHost is the real one; the agent's
// tests have one fake. Called from the worker's loop thread only; nothing here blocks for longer
// than a small file write.
#pragma once

#include <string>

#include "worker/agent/messages.h"

namespace llmctl::worker {

class Host {
 public:
  virtual ~Host() = default;
  virtual Millis boot_ms() const = 0;
  // The id of the jobs folder that is there now; a mount may come and go. Empty: none.
  virtual std::string jobs_folder() = 0;
  // Remembers, beyond this process, whose runs lie here.
  virtual void keep_cluster(const std::string& id) = 0;

  // Lays the run directory and starts its supervisor. Requires: no run with this key was started.
  virtual Status start(const RunConfig& config, Millis lease_until_boot_ms) = 0;
  virtual void renew_lease(const RunKey& run, Millis until_boot_ms) = 0;
  // SIGTERM: checkpoint and leave. May be repeated.
  virtual void ask_to_leave(const RunKey& run) = 0;
  // SIGKILL to the whole group. `why` becomes the outcome in exit.json. May be repeated.
  virtual void kill(const RunKey& run, Outcome why, const std::string& detail) = 0;
  // Writes what every thread of the rank is doing into its log.txt; returns one line about it.
  virtual std::string dump_threads(const RunKey& run) = 0;
  // The run is over and nobody wants it: only its log is kept, for a while.
  virtual void retire(const RunKey& run) = 0;
};

}  // namespace llmctl::worker
