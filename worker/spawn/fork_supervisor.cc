#include "worker/spawn/fork_supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "worker/spawn/nursery_packet.h"
#include "worker/spawn/supervise.h"

namespace llmctl::worker {

static_assert(kLockFd == kNurserySocket, "the lock, or a spare's socket, takes its place");

// In the forked process: drops everything of the nursery's but its code. The descriptor `kept`
// takes the place of the nursery's socket.
static void leave_nursery(const std::vector<std::string>& environment, int kept) {
  setsid();
  signal(SIGCHLD, SIG_DFL);
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {0, 1, 2}) dup2(null, fd);
  dup2(kept, kLockFd);
  close_range(kLockFd + 1, ~0U, 0);
  clearenv();
  for (const std::string& line : environment) putenv(const_cast<char*>(line.c_str()));
}

pid_t fork_supervisor(const SpawnRequest& request, int lock) {
  const pid_t pid = fork();
  if (pid != 0) return pid > 0 ? pid : -errno;
  leave_nursery(request.environment, lock);
  _exit(supervise({request.directory, request.trainer, request.mode}));
}

// In the fork of a spare: says when the trainer is loaded, then waits for a run to supervise.
static int wait_for_run(const std::string& program) {
  block_signals();
  auto trainer = start_spare_trainer(program);
  if (!trainer.ok()) return 1;
  pollfd ends[] = {{kNurserySocket, POLLIN, 0}, {trainer->orders.fd(), POLLIN, 0}};
  while (ends[0].revents == 0) {
    if (poll(ends, 2, -1) < 0 && errno != EINTR) return 1;
    if (ends[1].revents == 0) continue;
    char loaded = 0;
    if (recv(trainer->orders.fd(), &loaded, 1, 0) != 1) return 1;  // it died, or cannot wait
    if (send(kNurserySocket, &loaded, 1, MSG_NOSIGNAL) != 1) return 1;
  }
  const ReceivedPacket packet = receive_packet(kNurserySocket);
  const auto request = unpack(packet.bytes);
  if (!request || !packet.file) return 0;  // the nursery is gone
  dup2(packet.file.fd(), kLockFd);
  return supervise({request->directory, request->trainer, request->mode},
                   std::move(trainer).value());
}

static std::filesystem::file_time_type time_of(const std::string& program) {
  std::error_code error;
  return std::filesystem::last_write_time(program, error);
}

void SpareSupervisor::fork_one() {
  auto control = open_packet_sockets();
  if (!control.ok()) return;
  control_ = std::move(control->ours);
  loaded_ = false;
  program_time_ = time_of(usual_.trainer);
  pid_ = fork();
  if (pid_ != 0) return;  // also when it failed: then nobody holds the other end
  leave_nursery(usual_.environment, control->theirs.fd());
  _exit(wait_for_run(usual_.trainer));
}

bool SpareSupervisor::is_loaded() {
  char byte = 0;
  ssize_t n = 0;
  while ((n = recv(control_.fd(), &byte, 1, MSG_DONTWAIT)) > 0) loaded_ = true;
  if (n == 0) control_ = OpenFile();  // it is gone
  return control_ && loaded_;
}

pid_t SpareSupervisor::take(const SpawnRequest& request, const std::string& packet, int lock) {
  if (!control_ || !is_loaded()) return 0;
  if (request.trainer != usual_.trainer || request.environment != usual_.environment) return 0;
  const OpenFile control = std::move(control_);  // if this fails it ends
  if (time_of(usual_.trainer) != program_time_) return 0;
  return send_packet(control.fd(), packet, lock) == 0 ? pid_ : 0;
}

}  // namespace llmctl::worker
