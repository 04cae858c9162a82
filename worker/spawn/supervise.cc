#include "worker/spawn/supervise.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "core/run/run_config.h"
#include "worker/contract/report_line.h"
#include "worker/contract/run_directory.h"
#include "worker/files/bounded_file.h"
#include "worker/files/line_splitter.h"

namespace llmctl::worker {
namespace {

constexpr size_t kStderrTail = 4 << 10;  // shown as the reason of a crash

class Supervisor {
 public:
  Supervisor(const SuperviseOptions& options, OpenFile lock)
      : directory_(options.directory),
        options_(options),
        lock_(std::move(lock)),
        report_(directory_.file("report.jsonl"),
                directory_.file("report.1.jsonl"),
                limits::kLogFileBytes),
        log_(directory_.file("log.txt"), directory_.file("log.1.txt"), limits::kLogFileBytes) {}

  int run(std::optional<TrainerProcess> spare);

 private:
  void watch();
  void on_signal();
  void copy_report();
  void copy_log();
  void drain();
  ExitFile verdict() const;
  std::string last_words() const;
  int write_exit(const ExitFile& exit);

  RunDirectory directory_;
  SuperviseOptions options_;
  OpenFile lock_;  // held until this process ends
  BoundedFile report_, log_;
  LineSplitter lines_;
  TrainerProcess trainer_;
  OpenFile signals_;
  bool asked_to_leave_ = false;
  std::optional<int> status_;  // of waitpid
  std::optional<EndLine> end_;
  std::string stderr_tail_;
};

int Supervisor::run(std::optional<TrainerProcess> spare) {
  const auto claimed = directory_.claim();
  if (claimed.ok() && !*claimed) return 1;  // the run is another's, who tells how it ends
  if (!claimed.ok()) return write_exit({0, 0, Outcome::storage_full, claimed.error().message});
  signals_ = block_signals();
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  if (spare && order_run(*spare, options_.mode, options_.directory)) {
    trainer_ = std::move(*spare);
  } else {
    auto started = start_trainer(options_.trainer, options_.mode, options_.directory);
    if (!started.ok()) {
      log_.append("[llmctl] " + started.error().message + "\n");
      return write_exit({127, 0, Outcome::spawn_failed, started.error().message});
    }
    trainer_ = std::move(started).value();
  }
  const PidFile pids{identify(getpid()), identify(trainer_.pid), boot_id()};
  const Status written = directory_.write_pids(pids);
  if (!written.ok()) {  // nobody could ever stop it
    kill_descendants(trainer_.pid);
    return write_exit({0, SIGKILL, Outcome::spawn_failed, written.error().message});
  }
  watch();
  kill_descendants(trainer_.pid);
  drain();
  if (const Bytes lost = log_.dropped_bytes() + report_.dropped_bytes(); lost > 0) {
    log_.append("[llmctl] " + std::to_string(lost) + " bytes of output could not be written\n");
  }
  return write_exit(verdict());
}

void Supervisor::watch() {
  while (!status_) {
    std::array<pollfd, 3> fds = {{{signals_.fd(), POLLIN, 0},
                                  {trainer_.out.fd(), POLLIN, 0},
                                  {trainer_.err.fd(), POLLIN, 0}}};
    if (poll(fds.data(), fds.size(), -1) < 0) continue;
    if (fds[1].revents != 0) copy_report();
    if (fds[2].revents != 0) copy_log();
    if (fds[0].revents != 0) on_signal();
  }
}

void Supervisor::on_signal() {
  signalfd_siginfo info{};
  while (read(signals_.fd(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGTERM) asked_to_leave_ = true;
    if (info.ssi_signo != SIGCHLD) kill(trainer_.pid, static_cast<int>(info.ssi_signo));
  }
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid == trainer_.pid) status_ = status;
  }
}

// Reads what is there, once. An end of file closes the pipe, so that poll() no longer wakes for it.
std::string_view read_some(OpenFile& pipe, std::array<char, 65536>& buffer) {
  const ssize_t n = read(pipe.fd(), buffer.data(), buffer.size());
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) pipe = OpenFile();
  return {buffer.data(), static_cast<size_t>(std::max<ssize_t>(n, 0))};
}

void Supervisor::copy_report() {
  std::array<char, 65536> buffer;
  std::string whole_lines;  // appended together: the agent never sees half a line for long
  lines_.feed(read_some(trainer_.out, buffer), [&](std::string_view line) {
    whole_lines.append(line).push_back('\n');
    if (line.find("\"end\"") == std::string_view::npos) return;
    const ReportLine parsed = parse_report_line(line);
    if (const auto* end = std::get_if<EndLine>(&parsed)) end_ = *end;
  });
  if (!whole_lines.empty()) report_.append(whole_lines);
}

void Supervisor::copy_log() {
  std::array<char, 65536> buffer;
  const std::string_view bytes = read_some(trainer_.err, buffer);
  if (bytes.empty()) return;
  log_.append(bytes);
  stderr_tail_ += bytes;
  if (stderr_tail_.size() > kStderrTail) {
    stderr_tail_.erase(0, stderr_tail_.size() - kStderrTail);
  }
}

// What the pipes still hold. Every writer is dead, so this ends.
void Supervisor::drain() {
  const auto has_bytes = [](const OpenFile& pipe) {
    pollfd fd{pipe.fd(), POLLIN, 0};
    return pipe && poll(&fd, 1, 0) > 0;
  };
  while (has_bytes(trainer_.out)) copy_report();
  while (has_bytes(trainer_.err)) copy_log();
}

std::string Supervisor::last_words() const {
  std::string text = stderr_tail_;
  if (text.size() == kStderrTail) text.erase(0, text.find('\n') + 1);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// The trainer's own word first; then the agent's, if it had the trainer killed; then the status.
ExitFile Supervisor::verdict() const {
  ExitFile exit;
  const bool signaled = WIFSIGNALED(*status_);
  exit.code = signaled ? 0 : WEXITSTATUS(*status_);
  exit.signal = signaled ? WTERMSIG(*status_) : 0;
  if (end_) {
    exit.outcome = end_->outcome;
    exit.detail = end_->detail;
    return exit;
  }
  const auto asked = directory_.read_verdict();
  if (exit.signal == SIGKILL && asked) {
    exit.outcome = asked->outcome;
    exit.detail = asked->detail;
    return exit;
  }
  if (exit.signal == SIGTERM && asked_to_leave_) {
    exit.outcome = Outcome::left;  // it did not handle the signal yet, so it had nothing to save
    return exit;
  }
  if (!signaled) {
    exit.outcome = outcome_of_exit(exit.code);
    exit.detail = last_words();
    if (exit.outcome == Outcome::crashed && exit.detail.empty()) {
      exit.detail = "exit code " + std::to_string(exit.code) + " without a word";
    }
    return exit;
  }
  exit.outcome = Outcome::crashed;
  exit.detail =
      std::string("signal ") + std::to_string(exit.signal) + " (" + sigdescr_np(exit.signal) + ")";
  if (exit.signal == SIGKILL) exit.detail += ", perhaps by the kernel for lack of memory";
  if (!stderr_tail_.empty()) exit.detail += "\n" + last_words();
  return exit;
}

int Supervisor::write_exit(const ExitFile& exit) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    if (directory_.write_exit(exit).ok()) return 0;
    unlink(directory_.file("log.1.txt").c_str());  // the outcome is worth more than old output
    unlink(directory_.file("report.1.jsonl").c_str());
    poll(nullptr, 0, 500);
  }
  return 1;
}

// Takes the lock that the agent handed over, else a new one. A run that has ended is not started
// again.
Result<OpenFile> take_lock(const RunDirectory& directory) {
  struct stat ours {
  }, given{};
  const bool handed_over = fstat(kLockFd, &given) == 0 &&
                           stat(directory.path().c_str(), &ours) == 0 &&
                           ours.st_dev == given.st_dev && ours.st_ino == given.st_ino;
  OpenFile lock = handed_over ? OpenFile(kLockFd) : TRY(directory.lock());
  fcntl(lock.fd(), F_SETFD, FD_CLOEXEC);
  if (std::filesystem::exists(directory.file("exit.json"))) {
    return Error{Code::failed_precondition, directory.path().string() + ": has ended already", ""};
  }
  return lock;
}

}  // namespace

int supervise(const SuperviseOptions& options, std::optional<TrainerProcess> spare) {
  auto lock = take_lock(RunDirectory(options.directory));
  if (!lock.ok()) {
    std::fprintf(stderr, "llmctl-worker: %s\n", lock.error().message.c_str());
    return 1;
  }
  return Supervisor(options, std::move(lock).value()).run(std::move(spare));
}

}  // namespace llmctl::worker
