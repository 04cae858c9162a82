// The nursery process itself.
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "worker/spawn/fork_supervisor.h"
#include "worker/spawn/nursery_packet.h"

namespace llmctl::worker {

// Milliseconds since the last start before a spare is loaded: loading one takes a processor from
// the trainers that run.
static constexpr int kQuietBeforeSpare = 2'000;

int run_nursery() {
  signal(SIGCHLD, SIG_IGN);  // supervisors are reaped by the kernel
  SpareSupervisor spare;
  for (;;) {
    pollfd worker{kNurserySocket, POLLIN, 0};
    if (poll(&worker, 1, spare.wanted() ? kQuietBeforeSpare : -1) == 0) {
      spare.fork_one();
      continue;
    }
    const ReceivedPacket packet = receive_packet(kNurserySocket);
    const auto request = unpack(packet.bytes);
    if (!request) return 0;  // the worker is gone
    if (request->directory.empty()) {
      spare.prepare_for(*request);
      continue;
    }
    if (!packet.file) return 0;
    pid_t answer = spare.take(*request, packet.bytes, packet.file.fd());
    if (answer == 0) answer = fork_supervisor(*request, packet.file.fd());
    if (send(kNurserySocket, &answer, sizeof answer, MSG_NOSIGNAL) < 0) return 0;
  }
}

}  // namespace llmctl::worker
