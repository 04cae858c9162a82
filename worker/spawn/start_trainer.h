// Starting and ending a trainer's process group, on behalf of the supervisor: signals, pipes, fork,
// exec. Requires: one thread.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "worker/files/open_file.h"

namespace llmctl::worker {

struct TrainerProcess {
  pid_t pid = 0;      // also its process group
  OpenFile out, err;  // non-blocking read ends of its standard output and error
  OpenFile orders;    // of a spare one: the other end of its standard input
};

// Blocks the signals a supervisor handles and returns a non-blocking signalfd for them.
OpenFile block_signals();

// `TRAINER MODE config.json`, in `directory`. It dies when this process dies. An error names why
// the program could not be executed.
Result<TrainerProcess> start_trainer(const std::string& trainer,
                                     const std::string& mode,
                                     const std::filesystem::path& directory);

// A spare one, `TRAINER wait` in "/". Once it is loaded it sends a byte over `orders`, and becomes
// what start_trainer() would have started when it is told of a run there
// (trainer/commands/wait_for_run.h).
Result<TrainerProcess> start_spare_trainer(const std::string& trainer);
bool order_run(const TrainerProcess& spare,
               const std::string& mode,
               const std::filesystem::path& directory);  // false: it is gone

// SIGKILL to the group and to every other descendant, until all are reaped.
// Requires: this process is a subreaper.
void kill_descendants(pid_t group);

}  // namespace llmctl::worker
