#include "cli/cluster/local_cluster.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/cpus.h"
#include "core/base/json_reader.h"

namespace llmctl {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr Millis kStopPatience = 10'000;    // SIGTERM to exit of a worker or scheduler
constexpr Millis kAnswerPatience = 15'000;  // a call may take 10 s
constexpr int kTailLines = 5;               // of a log, when a program did not start
constexpr int kWorkersMax = 64;             // processes of one machine

// Two `up` at once would start everything twice.
class HomeLock {
 public:
  explicit HomeLock(const Home& home)
      : fd_(open((home.dir + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (fd_ >= 0) flock(fd_, LOCK_EX);
  }
  ~HomeLock() {
    if (fd_ >= 0) close(fd_);
  }
  HomeLock(const HomeLock&) = delete;
  HomeLock& operator=(const HomeLock&) = delete;

 private:
  int fd_;
};

static std::string worker_name(int number) {
  return "w" + std::to_string(number);
}

// What a program writes once it serves: {"pid", "address", …}. Empty object: not yet.
static json ready_file(const std::string& path, int64_t pid) {
  std::ifstream file(path);
  json document = json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object() || document.value("pid", json()) != json(pid)) return json::object();
  return document;
}

static Error start_error(const Home& home, const std::string& name) {
  return {Code::internal, name + " did not start" + log_tail(home.log_path(name), kTailLines),
          "its log is " + home.log_path(name)};
}

static Status start_scheduler(const Environment& env, const Home& home, ClusterRecord& record) {
  const ClusterShape& shape = record.shape;
  // A restart takes the same address again: that is where the workers look for it.
  const std::string listen =
      record.address.empty() ? "127.0.0.1:" + std::to_string(shape.port) : record.address;
  const std::string metrics =
      record.metrics_address.empty() ? "127.0.0.1:0" : record.metrics_address;
  Launch launch{"scheduler",
                {env.bin_dir + "/llmctl-scheduler", "--data-dir", home.scheduler_dir(), "--listen",
                 listen, "--metrics-listen", metrics, "--token-file", home.token_path()},
                home.log_path("scheduler")};
  if (shape.lease_ms > 0) {
    launch.arguments.insert(launch.arguments.end(), {"--lease-ms", std::to_string(shape.lease_ms)});
  }
  if (shape.grace_ms > 0) {
    launch.arguments.insert(launch.arguments.end(), {"--grace-ms", std::to_string(shape.grace_ms)});
  }
  const ProcessRecord process = TRY(start_detached(launch));
  const auto keep = [&record](const ProcessRecord& started) {
    ProcessRecord* known = record.find("scheduler");
    if (known != nullptr) {
      *known = started;
    } else {
      record.processes.insert(record.processes.begin(), started);
    }
  };
  json ready;
  keep(process);
  TRY(write_cluster(home, record));           // so that `down` sees it whatever happens to us
  constexpr Millis kReadyPatience = 600'000;  // while it lives: a large store takes its time
  wait_until(kReadyPatience, [&] {
    ready = ready_file(home.scheduler_dir() + "/scheduler.json", process.pid);
    return !ready.empty() || !is_alive(process);
  });
  if (ready.empty() || !is_alive(process)) {
    stop_process(process, kStopPatience);
    return start_error(home, "scheduler");
  }
  JsonReader reader(ready, "scheduler.json");
  reader.need("address");
  reader.read("address", record.address);
  reader.read("metrics_address", record.metrics_address);
  return reader.status();
}

static Status start_worker(const Environment& env,
                           const Home& home,
                           const std::string& name,
                           ClusterRecord& record) {
  const ClusterShape& shape = record.shape;
  std::error_code ignored;
  fs::create_directories(home.worker_dir(name), ignored);
  Launch launch{name,
                {env.bin_dir + "/llmctl-worker", "--scheduler", record.address, "--name", name,
                 "--work-dir", home.worker_dir(name), "--jobs-dir", home.jobs_dir(), "--trainer",
                 shape.trainer.empty() ? env.bin_dir + "/llmctl-trainer" : shape.trainer,
                 "--metrics-listen", "127.0.0.1:0", "--token-file", home.token_path()},
                home.log_path(name)};
  const auto option = [&](const char* flag, int64_t value) {
    if (value > 0) launch.arguments.insert(launch.arguments.end(), {flag, std::to_string(value)});
  };
  option("--cpu-memory", shape.cpu_memory);
  option("--slots", shape.slots);
  option("--threads", shape.threads);
  const ProcessRecord process = TRY(start_detached(launch));
  if (ProcessRecord* known = record.find(name))
    *known = process;
  else
    record.processes.push_back(process);
  return ok_status();
}

// Several workers of one machine share it; one worker may have it all and decides itself.
static void share_machine(ClusterShape& shape) {
  if (shape.workers < 2) return;
  const auto cores = usable_cpus();
  if (shape.threads == 0) shape.threads = std::max(1, cores / shape.workers);
  if (shape.cpu_memory > 0) return;
  constexpr double kShareOfRam = 0.6;  // the rest is for the system and the page cache
  const double ram =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
  shape.cpu_memory = static_cast<Bytes>(ram * kShareOfRam / shape.workers);
}

// The shape to reach: what was asked, over what runs. A running process keeps its shape, so asking
// for another one is refused rather than half obeyed.
static Result<ClusterShape> merge_shape(const ClusterShape& asked,
                                        const ClusterRecord& record,
                                        bool any_alive) {
  const ClusterShape& running = record.shape;
  if (asked.workers > kWorkersMax) {
    return Error{Code::invalid_argument,
                 "--workers: at most " + std::to_string(kWorkersMax) + " on one machine", ""};
  }
  // After a reboot nothing keeps its shape: options make a new one, none bring the old one back.
  if (!any_alive) {
    ClusterShape shape = asked == ClusterShape{} ? running : asked;
    shape.workers = std::max(1, shape.workers);
    share_machine(shape);
    return shape;
  }
  ClusterShape shape = running;
  shape.workers = std::max(running.workers, asked.workers);  // more can join, none is taken away
  const auto differs = [](auto wanted, auto has) { return wanted != 0 && wanted != has; };
  if (differs(asked.cpu_memory, running.cpu_memory) || differs(asked.slots, running.slots) ||
      differs(asked.threads, running.threads) || differs(asked.port, running.port) ||
      differs(asked.lease_ms, running.lease_ms) || differs(asked.grace_ms, running.grace_ms) ||
      (!asked.trainer.empty() && asked.trainer != running.trainer) ||
      (asked.workers != 0 && asked.workers < running.workers)) {
    return Error{Code::failed_precondition, "a cluster of another shape runs already",
                 "`llmctl down`, then `llmctl up` with the new options"};
  }
  return shape;
}

static Result<Client> connect_local(const Home& home, const ClusterRecord& record) {
  const std::string token = TRY(read_token(home.token_path()));
  Endpoint endpoint = TRY(parse_endpoint({record.address, "", token}));
  return Client(std::move(endpoint));
}

// Whether a scheduler that lives answers nothing: it is stopped, hangs, or hears no new connection.
// It can be ended: all that it acknowledged is on disk.
static bool is_mute(const Home& home, const ClusterRecord& record) {
  Result<Client> client = connect_local(home, record);
  if (!client.ok()) return false;
  return !wait_until(kAnswerPatience, [&] {
    const auto answer = client->workers();
    return answer.ok() || (answer.error().code != Code::deadline_exceeded &&
                           answer.error().code != Code::unavailable);
  });
}

static Result<std::vector<WorkerView>> wait_for_workers(const Home& home,
                                                        const ClusterRecord& record,
                                                        Client& client,
                                                        Millis patience_ms) {
  std::vector<WorkerView> views;
  std::string missing;
  const auto connected = [&] {
    missing.clear();
    Result<std::vector<WorkerView>> answer = client.workers();
    if (!answer.ok()) return false;
    views = std::move(answer).value();
    for (const ProcessRecord& process : record.processes) {
      if (process.name == "scheduler") continue;
      const bool there = std::any_of(views.begin(), views.end(), [&](const WorkerView& view) {
        return view.name == process.name && view.state != "disconnected" && view.state != "lost";
      });
      if (!there) missing = process.name;
    }
    // A worker that died will not come: no need to wait for it.
    const auto dead = std::find_if_not(record.processes.begin(), record.processes.end(), is_alive);
    if (dead != record.processes.end()) missing = dead->name;
    return missing.empty() || dead != record.processes.end();
  };
  const bool in_time = wait_until(patience_ms, connected);
  if (in_time && missing.empty()) return views;
  if (in_time || missing.empty()) return start_error(home, missing.empty() ? "scheduler" : missing);
  return Error{Code::deadline_exceeded,
               missing + " has not connected" + log_tail(home.log_path(missing), kTailLines),
               "its log is " + home.log_path(missing)};
}

static void undo_drains(ClusterRecord& record, Client& client) {
  for (const std::string& name : record.drained) (void)client.drain(name, /*undo=*/true);
  record.drained.clear();
}

Result<UpReport> bring_up(const Environment& env, const UpRequest& request, const Say& say) {
  const Home home{env.home};
  TRY(make_home(home));
  const HomeLock lock(home);
  UpReport report;
  Result<ClusterRecord> known = read_cluster(home);
  if (!known.ok() && known.error().code != Code::not_found) return known.error();
  if (known.ok()) report.record = std::move(known).value();
  ClusterRecord& record = report.record;
  // What was killed a moment ago may still hold the port or the folder that its successor needs.
  for (const ProcessRecord& process : record.processes) {
    if (!is_alive(process)) await_gone(process, kStopPatience);
  }
  const bool any_alive = std::any_of(record.processes.begin(), record.processes.end(), is_alive);
  record.shape = TRY(merge_shape(request.shape, record, any_alive));
  if (!any_alive) {
    record.processes.clear();
    record.address.clear();
    record.metrics_address.clear();
  }

  const auto missing = [&](const std::string& name) {
    const ProcessRecord* process = record.find(name);
    return process == nullptr || !is_alive(*process);
  };
  if (!missing("scheduler") && is_mute(home, record)) {
    say("the scheduler does not answer: it is started again");
    stop_process(*record.find("scheduler"), kStopPatience);
  }
  if (missing("scheduler")) {
    say("starting scheduler");
    TRY(start_scheduler(env, home, record));
    report.started.emplace_back("scheduler");
    TRY(write_cluster(home, record));
  }
  for (int i = 1; i <= record.shape.workers; ++i) {
    if (!missing(worker_name(i))) continue;
    say("starting worker " + worker_name(i));
    TRY(start_worker(env, home, worker_name(i), record));
    report.started.push_back(worker_name(i));
    TRY(write_cluster(home, record));
  }
  Client client = TRY(connect_local(home, record));
  report.workers = TRY(wait_for_workers(home, record, client, request.patience_ms));
  if (!record.drained.empty()) {
    undo_drains(record, client);
    TRY(write_cluster(home, record));
    report.workers = TRY(client.workers());
  }
  return report;
}

// ---- down

// Workers checkpoint their jobs and let go; the jobs wait in the queue for the next `up`.
static Status drain_all(ClusterRecord& record, Client& client, Millis patience_ms, const Say& say) {
  size_t jobs = 0;
  const auto ours = [&](const WorkerView& view) {
    const ProcessRecord* process = record.find(view.name);
    return process != nullptr && is_alive(*process);
  };
  const std::vector<WorkerView> before = TRY(client.workers());
  for (const WorkerView& worker : before) {
    if (!ours(worker)) continue;
    jobs += worker.job_ids.size();
    if (worker.state == "draining" || worker.state == "drained") continue;
    TRY(client.drain(worker.name, /*undo=*/false));
    record.drained.push_back(worker.name);
  }
  if (jobs > 0) say("waiting for " + std::to_string(jobs) + " running job(s) to checkpoint");
  const bool empty = wait_until(patience_ms, [&] {
    const Result<std::vector<WorkerView>> views = client.workers();
    return views.ok() && std::none_of(views->begin(), views->end(), [&](const WorkerView& view) {
             return ours(view) && !view.job_ids.empty();
           });
  });
  if (empty) return ok_status();
  return Error{Code::deadline_exceeded, "running jobs have not left in time",
               "`llmctl down --now` stops them; they continue from their last checkpoint"};
}

// Ranks live apart from their worker, so that a restarted worker can adopt them; here they go too.
static void kill_ranks(const Home& home) {
  std::error_code error;
  for (const auto& worker : fs::directory_iterator(home.dir + "/workers", error)) {
    std::error_code no_runs;
    for (const auto& run : fs::directory_iterator(worker.path() / "runs", no_runs)) {
      std::ifstream file(run.path() / "pid.json");
      const json document = json::parse(file, nullptr, /*allow_exceptions=*/false);
      if (!document.is_object()) continue;
      for (const std::string who : {"supervisor", "trainer"}) {
        ProcessRecord process;
        JsonReader reader(document, "pid.json");
        reader.read((who + "_pid").c_str(), process.pid);
        reader.read((who + "_start").c_str(), process.start_ticks);
        if (reader.status().ok()) kill_group(process);
      }
    }
  }
}

Result<std::vector<std::string>> bring_down(const Environment& env,
                                            const DownRequest& request,
                                            const Say& say) {
  const Home home{env.home};
  std::vector<std::string> stopped;
  if (!fs::exists(home.record_path())) return stopped;
  const HomeLock lock(home);
  ClusterRecord record = TRY(read_cluster(home));
  const ProcessRecord* scheduler = record.find("scheduler");
  const bool asks = !request.now && scheduler != nullptr && is_alive(*scheduler);
  if (asks && is_mute(home, record)) {
    say("the scheduler does not answer: jobs are stopped without a last checkpoint");
  } else if (asks) {
    Client client = TRY(connect_local(home, record));
    const Status drained = drain_all(record, client, request.patience_ms, say);
    TRY(write_cluster(home, record));  // what was drained must be undone by the next `up`
    if (!drained.ok()) return drained.error();
  }
  for (auto process = record.processes.rbegin(); process != record.processes.rend(); ++process) {
    if (process->name == "scheduler") kill_ranks(home);  // all workers are gone by now
    if (!is_alive(*process)) continue;
    say("stopping " + process->name);
    stop_process(*process, kStopPatience);
    stopped.push_back(process->name);
  }
  record.processes.clear();
  TRY(write_cluster(home, record));
  return stopped;
}

}  // namespace llmctl
