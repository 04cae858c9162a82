#include "worker/runs/local_run.h"

#include <cerrno>

#include <fcntl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "core/base/json_reader.h"

namespace llmctl::worker {

static constexpr size_t kReadAtOnce = 1 << 20;  // so that one rank cannot keep the loop busy

LocalRun::LocalRun(RunDirectory directory, int inotify)
    : directory_(std::move(directory)), inotify_(inotify) {
  watch(directory_.path(), IN_CREATE | IN_MOVED_TO);
  if (!open_report("report.1.jsonl")) open_report("report.jsonl");
}

LocalRun::~LocalRun() {
  for (const int watch : watches_) inotify_rm_watch(inotify_, watch);
}

void LocalRun::watch(const std::filesystem::path& path, uint32_t events) {
  const int watch = inotify_ < 0 ? -1 : inotify_add_watch(inotify_, path.c_str(), events);
  if (watch >= 0) watches_.push_back(watch);
}

Result<LocalRun> LocalRun::start(const RunConfig& config,
                                 Millis lease_until_boot_ms,
                                 SpawnRequest request,
                                 Nursery& nursery,
                                 int inotify) {
  const RunDirectory directory(request.directory);
  if (mkdir(directory.path().c_str(), 0755) != 0) {
    return system_error(directory.path(), "mkdir", errno);
  }
  const OpenFile lock = TRY(directory.lock());
  constexpr mode_t kOwner = 0600;  // the job's `env` is in it
  TRY(replace_file(directory.file("config.json"), dump_json(to_json(config)) + "\n", false,
                   kOwner));
  TRY(replace_file(directory.file("report.jsonl"), "", false));
  TRY(directory.write_lease(lease_until_boot_ms));
  LocalRun run(directory, inotify);
  request.mode = config.mode;
  auto supervisor = nursery.spawn(request, lock);
  if (supervisor.ok()) {
    run.supervisor_ = *supervisor;
  } else if (TRY(directory.claim())) {
    return supervisor.error();  // and it stays so: a fork that comes late finds the claim
  }
  return run;
}

bool LocalRun::open_report(const char* name) {
  const auto path = directory_.file(name);
  report_ = OpenFile(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (report_) watch(path, IN_MODIFY);
  return static_cast<bool>(report_);
}

bool LocalRun::report_was_replaced() const {
  struct stat ours {
  }, current{};
  return fstat(report_.fd(), &ours) == 0 &&
         stat(directory_.file("report.jsonl").c_str(), &current) == 0 &&
         ours.st_ino != current.st_ino;
}

std::vector<std::string> LocalRun::read_report(bool& more) {
  std::vector<std::string> lines;
  char buffer[65536];
  more = false;
  if (!report_ && !open_report("report.jsonl")) return lines;
  for (size_t total = 0; total < kReadAtOnce;) {
    const ssize_t n = read(report_.fd(), buffer, sizeof buffer);
    if (n < 0 || (n == 0 && !report_was_replaced())) return lines;
    if (n == 0 && !open_report("report.jsonl")) return lines;
    total += static_cast<size_t>(n);
    lines_.feed({buffer, static_cast<size_t>(n)},
                [&](std::string_view line) { lines.emplace_back(line); });
  }
  more = true;
  return lines;
}

void LocalRun::kill_trainer(const PidFile& pids) {
  if (is_alive(pids.trainer)) ::kill(-pids.trainer.pid, SIGKILL);
}

std::optional<ExitFile> LocalRun::read_exit() {
  if (!exit_) exit_ = directory_.read_exit();
  if (exit_) return exit_;
  const auto lock = directory_.lock();
  if (!lock.ok() && lock.error().code == Code::failed_precondition) return std::nullopt;
  // The supervisor is dead. The kernel kills a trainer together with its supervisor: wait until the
  // trainer is gone, too.
  const auto pids = directory_.read_pids();
  if (pids && is_alive(pids->trainer)) {
    kill_trainer(*pids);
    return std::nullopt;
  }
  exit_ = directory_.read_exit();  // it may have been written since we looked
  if (exit_) return exit_;
  const auto verdict = directory_.read_verdict();
  exit_ = ExitFile{0, SIGKILL, verdict ? verdict->outcome : Outcome::crashed,
                   verdict ? verdict->detail : "its supervisor is gone (killed, or a restart)"};
  (void)directory_.write_exit(*exit_);  // for the next reader; we have the answer
  return exit_;
}

void LocalRun::ask_to_leave() {
  const auto pids = directory_.read_pids();
  const ProcessId supervisor = pids ? pids->supervisor : supervisor_;
  if (is_alive(supervisor)) ::kill(supervisor.pid, SIGTERM);
}

void LocalRun::kill(Outcome why, const std::string& detail) {
  if (exit_) return;
  if (!directory_.read_verdict()) (void)directory_.write_verdict({why, detail});
  const auto pids = directory_.read_pids();
  if (pids) {
    kill_trainer(*pids);
  } else if (is_alive(supervisor_)) {
    ::kill(supervisor_.pid, SIGKILL);  // and the kernel the trainer with it
  }
}

}  // namespace llmctl::worker
