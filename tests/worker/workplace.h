// Workplace: a work directory of its own, a LocalHost in it, and a trainer that is a shell script.
// Real processes and files; owned by one test, and nothing it started outlives it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/processes/test_folder.h"
#include "worker/runs/local_host.h"

namespace llmctl::worker {

inline constexpr RunKey kRun{JobId{7}, Epoch{1}, 0};

class Workplace {
 public:
  explicit Workplace(bool spare_trainer = false);
  ~Workplace();
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;

  // What the next trainer does; it is called as `trainer MODE config.json` in the run directory.
  void script(const std::string& body) const;
  RunConfig config(const RunKey& key = kRun) const;
  void open_host();  // as a new worker process would: the old one is gone without a word
  void close_host() { host_.reset(); }
  LocalHost& host() { return *host_; }
  void start(const RunKey& key = kRun);  // with a lease of a minute

  // Observes until `done(everything so far)`; fails the test after kPatience.
  void observe_until(const std::function<bool()>& done);
  ExitFile wait_exit(const RunKey& key = kRun);
  std::optional<ExitFile> exit_of(const RunKey& key) const;
  std::vector<Observed> seen;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path run_path(const RunKey& key = kRun) const;
  std::string text(const char* file, const RunKey& key = kRun) const;
  PidFile pids(const RunKey& key = kRun);  // waits for them

 private:
  const bool spare_trainer_;
  SystemClock clock_;
  const testing::TestFolder folder_{"worker"};
  const std::filesystem::path path_ = folder_.path();
  std::unique_ptr<LocalHost> host_;
};

}  // namespace llmctl::worker
