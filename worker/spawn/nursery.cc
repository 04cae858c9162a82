#include "worker/spawn/nursery.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "worker/spawn/nursery_packet.h"

namespace llmctl::worker {

static constexpr int kPatience = 5'000;  // for an answer; a fork takes under a millisecond

Nursery::~Nursery() {
  socket_ = OpenFile();  // its end
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
}

Status Nursery::start() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);  // the supervisors that it has forked live on
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  PacketSockets sockets = TRY(open_packet_sockets());
  socket_ = std::move(sockets.ours);
  char verb[] = "nursery", name[] = "llmctl-worker";
  char* const argv[] = {name, verb, nullptr};
  char* const no_environment[] = {nullptr};
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, sockets.theirs.fd(), kNurserySocket);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t blocked;  // before a supervisor listens, its signals wait
  sigemptyset(&blocked);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) sigaddset(&blocked, signal);
  posix_spawnattr_setsigmask(&attributes, &blocked);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  const int error = posix_spawn(&pid_, program_.c_str(), &files, &attributes, argv, no_environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) {
    pid_ = 0;
    return system_error(program_, "cannot be executed", error);
  }
  if (usual_) (void)send_packet(socket_.fd(), pack(*usual_), -1);  // else there is no spare
  return ok_status();
}

Result<ProcessId> Nursery::spawn(const SpawnRequest& request, const OpenFile& lock) {
  const std::string packet = pack(request);
  if (pid_ > 0) {
    auto spawned = ask(packet, lock.fd());
    if (spawned.ok() || spawned.error().code != Code::unavailable) return spawned;
  }
  TRY(start());
  return ask(packet, lock.fd());
}

Result<ProcessId> Nursery::ask(const std::string& packet, int lock) {
  if (const int error = send_packet(socket_.fd(), packet, lock); error != 0) {
    if (error != EMSGSIZE) return Error{Code::unavailable, "the nursery is gone", ""};
    return Error{Code::resource_exhausted, "the job's environment is too large", ""};
  }
  pollfd ready{socket_.fd(), POLLIN, 0};
  pid_t pid = 0;
  if (poll(&ready, 1, kPatience) != 1 || recv(socket_.fd(), &pid, sizeof pid, 0) != sizeof pid) {
    return Error{Code::unavailable, "the nursery does not answer", ""};
  }
  if (pid < 0) return system_error("supervisor", "fork", -pid);
  return identify(pid);
}

}  // namespace llmctl::worker
