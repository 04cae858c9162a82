// The supervisor: `llmctl-worker supervise DIR TRAINER MODE`, one small process per rank that
// outlives the agent. It starts the trainer in a process group of its own, copies its output into
// bounded files, passes SIGTERM and SIGUSR1 on, and writes exit.json once the whole group is gone.
// If it dies itself the kernel kills the trainer, so nothing runs unwatched. One poll loop, no
// thread; it must start fast, so nothing here touches gRPC.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "worker/spawn/start_trainer.h"

namespace llmctl::worker {

struct SuperviseOptions {
  std::filesystem::path directory;  // a run directory with config.json
  std::string trainer;              // path of the program
  std::string mode;                 // its first argument: train | probe
};

// The lock of the directory, already held, may be passed in as this descriptor.
inline constexpr int kLockFd = 3;

// Returns the supervisor's exit status: 0 once exit.json is written. With a spare trainer nothing
// is started, unless that one is gone.
int supervise(const SuperviseOptions& options, std::optional<TrainerProcess> spare = {});

}  // namespace llmctl::worker
