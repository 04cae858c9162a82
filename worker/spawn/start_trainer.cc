#include "worker/spawn/start_trainer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>

namespace llmctl::worker {

static constexpr int kPipeBytes = 1 << 20;  // lets the trainer run on while a disk is slow

static sigset_t supervised_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGCHLD}) sigaddset(&set, signal);
  return set;
}

OpenFile block_signals() {
  const sigset_t set = supervised_signals();
  sigprocmask(SIG_SETMASK, &set, nullptr);
  signal(SIGHUP, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  return OpenFile(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

struct Pipe {
  OpenFile read_end, write_end;
};

static Result<Pipe> make_pipe(int read_flags) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return system_error("pipe", "open", errno);
  Pipe pipe{OpenFile(fds[0]), OpenFile(fds[1])};
  fcntl(fds[0], F_SETFL, read_flags);
  fcntl(fds[0], F_SETPIPE_SZ, kPipeBytes);
  return pipe;
}

// In the child, between vfork and exec: it borrows our memory while we wait, so only calls of the
// kernel here. Returns only when something failed, with errno set.
static void become_trainer(
    const char* const* argv, const char* directory, pid_t supervisor, int in, int out, int err) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != supervisor) _exit(1);  // it died before the line above
  for (const int signal : {SIGHUP, SIGPIPE}) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) return;
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  if (chdir(directory) != 0) return;
  execv(argv[0], const_cast<char* const*>(argv));
}

// `argv` ends with a null pointer; argv[0] is the program.
static Result<TrainerProcess> execute(const char* const* argv, const char* directory, int in) {
  Pipe out = TRY(make_pipe(O_NONBLOCK));
  Pipe err = TRY(make_pipe(O_NONBLOCK));
  Pipe failure = TRY(make_pipe(0));  // stays empty when exec succeeds
  const pid_t supervisor = getpid();
  // A fork would copy the maps of every library that the worker's program has loaded.
  const pid_t pid = vfork();  // NOLINT(clang-analyzer-security.insecureAPI.vfork)
  if (pid < 0) return system_error(argv[0], "vfork", errno);
  if (pid == 0) {
    become_trainer(argv, directory, supervisor, in, out.write_end.fd(), err.write_end.fd());
    const int why = errno;
    (void)!write(failure.write_end.fd(), &why, sizeof why);
    _exit(127);
  }
  failure.write_end = OpenFile();
  int why = 0;
  if (read(failure.read_end.fd(), &why, sizeof why) == sizeof why) {
    waitpid(pid, nullptr, 0);
    return system_error(argv[0], "cannot be executed", why);
  }
  return TrainerProcess{pid, std::move(out.read_end), std::move(err.read_end), OpenFile()};
}

Result<TrainerProcess> start_trainer(const std::string& trainer,
                                     const std::string& mode,
                                     const std::filesystem::path& directory) {
  const OpenFile nothing(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const char* const argv[] = {trainer.c_str(), mode.c_str(), "config.json", nullptr};
  return execute(argv, directory.c_str(), nothing.fd());
}

Result<TrainerProcess> start_spare_trainer(const std::string& trainer) {
  PacketSockets sockets = TRY(open_packet_sockets());
  const char* const argv[] = {trainer.c_str(), "wait", nullptr};
  TrainerProcess spare = TRY(execute(argv, "/", sockets.theirs.fd()));
  spare.orders = std::move(sockets.ours);
  return spare;
}

bool order_run(const TrainerProcess& spare,
               const std::string& mode,
               const std::filesystem::path& directory) {
  const std::string packet = mode + '\0' + directory.string() + '\0';
  return send(spare.orders.fd(), packet.data(), packet.size(), MSG_NOSIGNAL) >= 0;
}

// Orphans of the trainer are ours (subreaper), whatever group or session they moved to.
static void kill_children() {
  const auto pids = read_small_file("/proc/thread-self/children", 1 << 20);
  if (!pids) return;
  const char* at = pids->data();
  const char* const end = at + pids->size();
  for (pid_t pid = 0; at < end;) {
    const auto [next, error] = std::from_chars(at, end, pid);
    if (error == std::errc()) kill(pid, SIGKILL);
    at = next + 1;
  }
}

void kill_descendants(pid_t group) {
  for (int pause = 10;; pause = std::min(2 * pause, 1'000)) {
    kill(-group, SIGKILL);
    kill_children();
    pid_t reaped = 0;
    while ((reaped = waitpid(-1, nullptr, WNOHANG)) > 0) continue;
    if (reaped < 0 && errno == ECHILD) return;
    poll(nullptr, 0, pause);
  }
}

}  // namespace llmctl::worker
