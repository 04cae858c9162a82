// Cluster: a real local cluster in a folder of its own, driven through the llmctl program as a
// person would, and broken through signals and files. Owned by one test; the destructor takes it
// down.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/processes/test_folder.h"

namespace llmctl::e2e {

struct Output {
  int code = 0;
  std::string out, err;
};
// Runs a program to its end with extra environment; CHECKs that it could be started.
Output run_program(const std::vector<std::string>& argv, const std::vector<std::string>& env = {});

class Cluster {
 public:
  // `up_args` go to `llmctl up`, e.g. {"--workers", "2"}.
  explicit Cluster(std::vector<std::string> up_args = {});
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  Output llmctl(std::vector<std::string> args) const;
  nlohmann::json json(std::vector<std::string> args) const;  // with -o json; CHECKs exit 0
  void up() const;                                           // restarts what died

  // One more worker, outside of what `up` keeps; it lives as long as the cluster.
  void start_worker(const std::string& name, const std::vector<std::string>& args);

  // A job file in this cluster's folder; returns its path.
  std::string write_job(const std::string& name, const std::string& yaml) const;
  int64_t submit(const std::string& job_file, std::vector<std::string> more = {}) const;
  nlohmann::json show(int64_t job) const { return json({"show", std::to_string(job)}); }
  // Asks until `done(show)` holds. Fails the test and returns the last show when the job has ended,
  // or kPatience is over, before that.
  nlohmann::json wait_until(int64_t job,
                            const std::function<bool(const nlohmann::json&)>& done) const;
  nlohmann::json wait_state(int64_t job, const std::string& state) const;
  nlohmann::json wait_step(int64_t job, int64_t step) const;

  pid_t scheduler_pid() const;
  pid_t worker_pid(const std::string& name) const;
  std::vector<pid_t> trainer_pids(int64_t job) const;     // alive ones, of every rank and epoch
  std::vector<nlohmann::json> events(int64_t job) const;  // durable ones, from the first
  const std::filesystem::path& home() const { return home_; }

 private:
  testing::TestFolder folder_{"e2e"};
  const std::filesystem::path home_ = folder_.path();
  std::vector<std::string> up_args_;
  std::vector<pid_t> workers_;  // of start_worker
};

bool alive(pid_t pid);
void wait_gone(pid_t pid);
void kill_hard(pid_t pid);  // SIGKILL; it may still be exiting when this returns
std::string file_text(const std::filesystem::path& path);
// The bytes of all weights and optimizer state of a checkpoint, as one hash.
std::string tensors_hash(const std::filesystem::path& checkpoint);
// A few kilobytes of text to train on.
std::string training_text(int lines);

}  // namespace llmctl::e2e
