// How the nursery makes supervisors: when a run is to start, or ahead of need. For its one thread;
// a fork keeps nothing of the nursery but its code.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "worker/spawn/nursery.h"

namespace llmctl::worker {

// Its pid, or -errno.
pid_t fork_supervisor(const SpawnRequest& request, int lock);

// A supervisor that waits for its run with a trainer that is loaded: to load LibTorch takes a third
// of a second, with CUDA longer. Its run must have the program and the environment that it was
// loaded with. It ends with its owner until it has one.
class SpareSupervisor {
 public:
  // What a run will be like, to be worth a spare.
  void prepare_for(SpawnRequest usual) { usual_ = std::move(usual); }
  // There is none, and one may be of use: to be forked when nothing else is to be done.
  bool wanted() const { return !usual_.trainer.empty() && !control_; }
  void fork_one();
  // Hands over `packet`, which is `request` packed, and the lock of its directory. Its pid; 0:
  // there is none that fits and is loaded.
  pid_t take(const SpawnRequest& request, const std::string& packet, int lock);

 private:
  bool is_loaded();

  SpawnRequest usual_;
  OpenFile control_;  // to the one that waits; closed: it ends
  pid_t pid_ = 0;
  std::filesystem::file_time_type program_time_;  // of what it has loaded
  bool loaded_ = false;
};

}  // namespace llmctl::worker
