// The nursery process itself, and what becomes of it after a fork.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "worker/nursery_packet.h"
#include "worker/supervise.h"

namespace llmctl::worker {

// In the fork: nothing of the nursery remains but its code.
static int become_supervisor(const SpawnRequest& request, int lock) {
  setsid();
  signal(SIGCHLD, SIG_DFL);
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {0, 1, 2}) dup2(null, fd);
  dup2(lock, kLockFd);  // over the nursery's socket
  close_range(kLockFd + 1, ~0U, 0);
  clearenv();
  for (const std::string& line : request.environment) putenv(const_cast<char*>(line.c_str()));
  return supervise({request.directory, request.trainer, request.mode});
}

int run_nursery() {
  signal(SIGCHLD, SIG_IGN);  // supervisors are reaped by the kernel
  for (;;) {
    const ReceivedPacket packet = receive_packet(kNurserySocket);
    const auto request = unpack(packet.bytes);
    if (!request || !packet.file) return 0;  // the worker is gone
    const pid_t pid = fork();
    if (pid == 0) _exit(become_supervisor(*request, packet.file.fd()));
    const pid_t answer = pid > 0 ? pid : -errno;
    if (send(kNurserySocket, &answer, sizeof answer, MSG_NOSIGNAL) < 0) return 0;
  }
}

}  // namespace llmctl::worker
