// Nursery: a child process of the worker that forks supervisors. The worker itself is large (gRPC,
// threads): to execute it again takes tens of milliseconds, to fork the nursery less than one. The
// nursery (`llmctl-worker nursery`) has one thread and no gRPC, waits on a socket, and ends with
// the worker; supervisors live on. It is started again when it has died. Loop thread only.
//
// Protocol, over a SOCK_SEQPACKET pair: one request per packet, its words ended by NUL (directory,
// trainer, mode, then the environment), the lock of the run directory attached; the answer is the
// supervisor's pid as a pid_t, or -errno. A request without a directory has neither lock nor
// answer: it says what most runs will be like, and a spare supervisor is kept for one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "worker/contract/run_directory.h"

namespace llmctl::worker {

struct SpawnRequest {
  std::filesystem::path directory;
  std::string trainer, mode;
  std::vector<std::string> environment;  // "NAME=value"; all of it
};

class Nursery {
 public:
  // `program` is this binary; `usual`, if given, has what a spare trainer is loaded for.
  Nursery(std::string program, std::optional<SpawnRequest> usual)
      : program_(std::move(program)), usual_(std::move(usual)) {}
  ~Nursery();
  Nursery(const Nursery&) = delete;
  Nursery& operator=(const Nursery&) = delete;

  Status start();
  // A supervisor in its own session. Starts the nursery (again) if need be.
  Result<ProcessId> spawn(const SpawnRequest& request, const OpenFile& lock);

 private:
  Result<ProcessId> ask(const std::string& packet, int lock);

  std::string program_;
  std::optional<SpawnRequest> usual_;
  OpenFile socket_;
  pid_t pid_ = 0;
};

// The other side: serves the socket `kNurserySocket` until it is closed.
inline constexpr int kNurserySocket = 3;
int run_nursery();

}  // namespace llmctl::worker
