#include "worker/runs/local_host.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/log.h"
#include "worker/contract/trainer_environment.h"
#include "worker/runs/jobs_folder.h"
#include "worker/runs/thread_dump.h"

namespace llmctl::worker {

namespace fs = std::filesystem;

static constexpr size_t kEndedKept = 50;  // run directories kept for their logs

// `chattr +T`: tells ext4 that the directories in this one have nothing to do with each other, so
// that each gets a place of its own. Else all runs share one, where a new file waits behind every
// file deleted in the last minutes when there is no journal. Other file systems refuse; no matter.
static void spread_subdirectories(const fs::path& path) {
  const OpenFile directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  int flags = 0;
  if (!directory || ioctl(directory.fd(), FS_IOC_GETFLAGS, &flags) != 0) return;
  flags |= FS_TOPDIR_FL;
  (void)ioctl(directory.fd(), FS_IOC_SETFLAGS, &flags);
}

Result<std::unique_ptr<LocalHost>> LocalHost::open(LocalHostOptions options, const Clock& clock) {
  std::unique_ptr<LocalHost> host(new LocalHost(std::move(options), clock));
  std::error_code error;
  for (const fs::path& path : {host->runs_dir(), host->ended_dir()}) {
    fs::create_directories(path, error);
    if (error) return system_error(path, "mkdir", error.value());
  }
  spread_subdirectories(host->runs_dir());
  const fs::path lock_path = host->options_.work_dir / "lock";
  host->lock_ = OpenFile(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!host->lock_) return system_error(lock_path, "open", errno);
  if (flock(host->lock_.fd(), LOCK_EX | LOCK_NB) != 0) {
    return Error{Code::failed_precondition,
                 host->options_.work_dir.string() + ": another llmctl-worker uses this directory",
                 "stop it, or give this one another --work-dir"};
  }
  host->inotify_ = OpenFile(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  TRY(host->nursery_.start());
  return host;
}

std::string LocalHost::cluster() const {
  std::string id = read_small_file(options_.work_dir / "cluster", 64).value_or("");
  return id.substr(0, id.find('\n'));
}

std::string LocalHost::jobs_folder() {
  return jobs_folder_id(options_.jobs_dir);
}

void LocalHost::keep_cluster(const std::string& id) {
  const Status kept = replace_file(options_.work_dir / "cluster", id + "\n", true);
  if (!kept.ok()) log_sentence("worker", kept.error().message);
}

std::vector<FoundRun> LocalHost::adopt_all() {
  std::vector<FoundRun> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(runs_dir(), error)) {
    const auto key = parse_directory_name(entry.path().filename().string());
    if (!key || !entry.is_directory()) continue;
    const RunDirectory directory(entry.path());
    runs_.emplace(*key, LocalRun(directory, inotify_.fd()));
    found.push_back({*key, directory.read_lease()});
  }
  return found;
}

std::vector<Observed> LocalHost::observe() {
  char events[4096];
  while (read(inotify_.fd(), events, sizeof events) > 0) continue;  // only a wake-up
  std::vector<Observed> observed;
  more_ = false;
  for (auto& [key, run] : runs_) {
    if (exits_observed_.contains(key)) continue;
    const auto exit = run.read_exit();  // before the lines: then the last one is among them
    bool more = false;
    for (const std::string& line : run.read_report(more)) {
      observed.push_back({key, parse_report_line(line)});
    }
    more_ |= more;
    if (!exit || more) continue;
    observed.push_back({key, *exit});
    exits_observed_.insert(key);
  }
  return observed;
}

std::set<int64_t> LocalHost::trainer_pids() const {
  std::set<int64_t> pids;
  for (const auto& [key, run] : runs_) {
    const auto file = run.directory().read_pids();
    if (file && !exits_observed_.contains(key)) pids.insert(file->trainer.pid);
  }
  return pids;
}

std::optional<fs::path> LocalHost::find(const RunKey& run) const {
  std::error_code error;
  for (const fs::path& parent : {runs_dir(), ended_dir()}) {
    if (fs::is_directory(parent / directory_name(run), error)) return parent / directory_name(run);
  }
  return std::nullopt;
}

Result<SpawnRequest> LocalHost::request(
    const std::map<std::string, std::string>& job_environment) const {
  std::vector<const char*> inherited;
  for (const std::string& line : options_.environment) inherited.push_back(line.c_str());
  inherited.push_back(nullptr);
  SpawnRequest request;
  request.trainer = options_.trainer;
  request.environment = TRY(trainer_environment(inherited.data(), job_environment));
  return request;
}

std::optional<SpawnRequest> LocalHost::usual_request() const {
  if (!options_.spare_trainer) return std::nullopt;
  return request({}).value();
}

Status LocalHost::start(const RunConfig& config, Millis lease_until_boot_ms) {
  const RunKey key{JobId{config.job_id}, Epoch{config.epoch}, config.rank};
  SpawnRequest spawn = TRY(request(config.spec.env));
  spawn.directory = runs_dir() / directory_name(key);
  runs_.emplace(key, TRY(LocalRun::start(config, lease_until_boot_ms, std::move(spawn), nursery_,
                                         inotify_.fd())));
  return ok_status();
}

void LocalHost::renew_lease(const RunKey& run, Millis until_boot_ms) {
  const auto found = runs_.find(run);
  if (found == runs_.end()) return;
  // A full disk does not make this fail, as the file has its 8 bytes already. If it fails all the
  // same the lease runs out and the rank pauses, which is safe.
  (void)found->second.directory().write_lease(until_boot_ms);
}

void LocalHost::ask_to_leave(const RunKey& run) {
  const auto found = runs_.find(run);
  if (found != runs_.end()) found->second.ask_to_leave();
}

void LocalHost::kill(const RunKey& run, Outcome why, const std::string& detail) {
  const auto found = runs_.find(run);
  if (found != runs_.end()) found->second.kill(why, detail);
}

std::string LocalHost::dump_threads(const RunKey& run) {
  const auto found = runs_.find(run);
  const auto pids = found == runs_.end() ? std::nullopt : found->second.directory().read_pids();
  if (!pids || !is_alive(pids->trainer)) return "its process could not be looked at";
  const ThreadDump dump = worker::dump_threads(pids->trainer.pid);
  const fs::path path = found->second.directory().file("log.txt");
  const OpenFile log(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (log) write_all(log.fd(), "[llmctl] hang: " + dump.headline + "\n" + dump.text);
  return dump.headline;
}

void LocalHost::retire(const RunKey& run) {
  runs_.erase(run);
  exits_observed_.erase(run);
  const std::string name = directory_name(run);
  std::error_code error;
  if (!fs::exists(runs_dir() / name, error)) return;
  fs::remove_all(ended_dir() / name, error);
  fs::rename(runs_dir() / name, ended_dir() / name, error);
  fs::last_write_time(ended_dir() / name, fs::file_time_type::clock::now(), error);
  prune_ended();
}

void LocalHost::prune_ended() const {
  std::vector<std::pair<fs::file_time_type, fs::path>> ended;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(ended_dir(), error)) {
    ended.emplace_back(fs::file_time_type(), entry.path());
  }
  if (ended.size() <= 2 * kEndedKept) return;  // many at once: their times are not asked every time
  for (auto& [time, path] : ended) time = fs::last_write_time(path, error);
  std::sort(ended.begin(), ended.end());
  for (size_t i = 0; i + kEndedKept < ended.size(); ++i) fs::remove_all(ended[i].second, error);
}

}  // namespace llmctl::worker
