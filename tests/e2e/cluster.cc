#include "tests/e2e/cluster.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>

#include "core/base/result.h"
#include "tests/processes/patience.h"

extern char** environ;

namespace llmctl::e2e {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::string temp_file_text(int fd) {
  std::string text;
  char buffer[65536];
  CHECK(lseek(fd, 0, SEEK_SET) == 0);
  for (ssize_t n = 0; (n = read(fd, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(n));
  }
  close(fd);
  return text;
}

int unnamed_file() {
  const int fd = memfd_create("output", MFD_CLOEXEC);
  CHECK(fd >= 0);
  return fd;
}

bool is_final(const nlohmann::json& state) {
  return state == "SUCCEEDED" || state == "FAILED" || state == "CANCELED";
}

pid_t spawn(const std::vector<std::string>& argv,
            const std::vector<std::string>& env,
            int out,
            int err) {
  std::vector<char*> args, vars;
  for (const std::string& a : argv) args.push_back(const_cast<char*>(a.c_str()));
  args.push_back(nullptr);
  for (const std::string& e : env) vars.push_back(const_cast<char*>(e.c_str()));
  for (char** e = environ; *e != nullptr; ++e) {
    if (std::string_view(*e).substr(0, 7) != "LLMCTL_") vars.push_back(*e);
  }
  vars.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_adddup2(&actions, err, 2);
  pid_t pid = 0;
  CHECK(posix_spawn(&pid, args[0], &actions, nullptr, args.data(), vars.data()) == 0);
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

}  // namespace

Output run_program(const std::vector<std::string>& argv, const std::vector<std::string>& env) {
  const int out = unnamed_file(), err = unnamed_file();
  const pid_t pid = spawn(argv, env, out, err);
  int status = 0;
  CHECK(waitpid(pid, &status, 0) == pid);
  Output result;
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = temp_file_text(out);
  result.err = temp_file_text(err);
  return result;
}

Cluster::Cluster(std::vector<std::string> up_args) : up_args_(std::move(up_args)) {
  up();
}

Cluster::~Cluster() {
  for (const pid_t pid : workers_) {
    kill(pid, SIGTERM);
    waitpid(pid, nullptr, 0);
  }
  llmctl({"down", "--now"});
  if (::testing::Test::HasFailure()) {
    std::fprintf(stderr, "cluster kept for inspection: %s\n", home_.c_str());
    folder_.keep();
  }
}

Output Cluster::llmctl(std::vector<std::string> args) const {
  args.insert(args.begin(), LLMCTL_BIN_DIR "/llmctl");
  // Of a trainer that this llmctl becomes: its threads would wait for each other by spinning, which
  // takes ten times as long on a machine with other work.
  const std::string one_thread = "OMP_NUM_THREADS=1";
  return run_program(args, {"LLMCTL_HOME=" + home_.string(), one_thread});
}

json Cluster::json(std::vector<std::string> args) const {
  args.insert(args.end(), {"-o", "json"});
  const Output output = llmctl(args);
  EXPECT_EQ(output.code, 0) << args[0] << ": " << output.err << output.out;
  auto document = nlohmann::json::parse(output.out, nullptr, false);
  EXPECT_FALSE(document.is_discarded()) << args[0] << " printed no JSON: " << output.out;
  EXPECT_EQ(document.value("api_version", ""), "llmctl/v1");
  return document;
}

void Cluster::up() const {
  std::vector<std::string> args = {"up"};
  args.insert(args.end(), up_args_.begin(), up_args_.end());
  const Output output = llmctl(args);
  ASSERT_EQ(output.code, 0) << output.err << output.out;
}

void Cluster::start_worker(const std::string& name, const std::vector<std::string>& args) {
  const fs::path record = home_ / "cluster.json";
  const auto cluster = nlohmann::json::parse(file_text(record));
  const fs::path work = home_ / "workers" / name;
  fs::create_directories(work);
  std::vector<std::string> argv = {LLMCTL_BIN_DIR "/llmctl-worker",
                                   "--scheduler",
                                   cluster.at("address"),
                                   "--token-file",
                                   home_ / "token",
                                   "--name",
                                   name,
                                   "--work-dir",
                                   work,
                                   "--metrics-listen",
                                   ""};
  const bool other_jobs = std::find(args.begin(), args.end(), "--jobs-dir") != args.end();
  if (!other_jobs) argv.insert(argv.end(), {"--jobs-dir", home_ / "jobs"});
  argv.insert(argv.end(), args.begin(), args.end());
  const int log =
      open((home_ / "logs" / (name + ".log")).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  CHECK(log >= 0);
  workers_.push_back(spawn(argv, {}, log, log));
  close(log);
}

std::string Cluster::write_job(const std::string& name, const std::string& yaml) const {
  const fs::path path = home_ / (name + ".yaml");
  std::ofstream(path) << yaml;
  return path;
}

int64_t Cluster::submit(const std::string& job_file, std::vector<std::string> more) const {
  more.insert(more.begin(), {"submit", job_file});
  return json(more).value("id", int64_t{0});
}

json Cluster::wait_until(int64_t job,
                         const std::function<bool(const nlohmann::json&)>& done) const {
  CHECK(job > 0);
  nlohmann::json last;
  bool got_there = false;
  testing::eventually([&] {
    const Output output = llmctl({"show", std::to_string(job), "-o", "json"});
    if (output.code != 0) return false;  // the scheduler may be down just now
    last = nlohmann::json::parse(output.out);
    got_there = done(last);
    return got_there || is_final(last["state"]);
  });
  EXPECT_TRUE(got_there) << "job " << job << " did not get there: " << last.dump(1);
  return last;
}

json Cluster::wait_state(int64_t job, const std::string& state) const {
  return wait_until(job, [&](const auto& show) { return show["state"] == state; });
}

json Cluster::wait_step(int64_t job, int64_t step) const {
  return wait_until(job, [&](const auto& show) { return show["progress"]["step"] >= step; });
}

static pid_t pid_in(const fs::path& file) {
  const auto document = json::parse(file_text(file), nullptr, false);
  return document.is_discarded() ? 0 : document.value("pid", 0);
}

pid_t Cluster::scheduler_pid() const {
  return pid_in(home_ / "scheduler/scheduler.json");
}

pid_t Cluster::worker_pid(const std::string& name) const {
  return pid_in(home_ / "workers" / name / "worker.json");
}

std::vector<pid_t> Cluster::trainer_pids(int64_t job) const {
  std::vector<pid_t> pids;
  for (const auto& worker : fs::directory_iterator(home_ / "workers")) {
    if (!fs::exists(worker.path() / "runs")) continue;
    for (const auto& run : fs::directory_iterator(worker.path() / "runs")) {
      if (run.path().filename().string().rfind(std::to_string(job) + "-", 0) != 0) continue;
      const auto document = json::parse(file_text(run.path() / "pid.json"), nullptr, false);
      const pid_t pid = document.is_discarded() ? 0 : document.value("trainer_pid", 0);
      if (pid > 0 && alive(pid)) pids.push_back(pid);
    }
  }
  return pids;
}

std::vector<json> Cluster::events(int64_t job) const {
  const Output output =
      llmctl({"watch", std::to_string(job), "--from", "1", "--no-progress", "-o", "json"});
  std::vector<nlohmann::json> events;
  std::istringstream lines(output.out);
  for (std::string line; std::getline(lines, line);) events.push_back(json::parse(line));
  return events;
}

bool alive(pid_t pid) {
  if (pid <= 0 || kill(pid, 0) != 0) return false;
  std::string stat = file_text("/proc/" + std::to_string(pid) + "/stat");
  const size_t end = stat.rfind(')');
  return end != std::string::npos && end + 2 < stat.size() && stat[end + 2] != 'Z';
}

void wait_gone(pid_t pid) {
  EXPECT_TRUE(testing::eventually([&] { return !alive(pid); })) << "pid " << pid << " is there";
}

void kill_hard(pid_t pid) {
  CHECK(pid > 0);
  kill(pid, SIGKILL);
}

std::string file_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string tensors_hash(const fs::path& checkpoint) {
  const Output output = run_program({"/usr/bin/sha256sum", checkpoint / "rank-0.safetensors"});
  EXPECT_EQ(output.code, 0) << output.err;
  return output.out.substr(0, 64);
}

std::string training_text(int lines) {
  std::string text;
  for (int i = 0; i < lines; ++i) {
    text += "line " + std::to_string(i) + ": " + std::to_string(i * i % 97) +
            " ships left the harbour, the wind was " + (i % 3 == 0 ? "fair" : "foul") + ".\n";
  }
  return text;
}

}  // namespace llmctl::e2e
