#include "tests/worker/workplace.h"

#include <poll.h>
#include <signal.h>

#include <fstream>
#include <sstream>

#include "tests/processes/patience.h"

namespace llmctl::worker {

namespace fs = std::filesystem;

Workplace::Workplace(bool spare_trainer) : spare_trainer_(spare_trainer) {
  open_host();
}

Workplace::~Workplace() {
  host_.reset();
  for (const auto& entry : fs::directory_iterator(path_ / "runs")) {
    const auto file = RunDirectory(entry.path()).read_pids();
    if (file && is_alive(file->trainer)) ::kill(-file->trainer.pid, SIGKILL);
    if (file && is_alive(file->supervisor)) ::kill(file->supervisor.pid, SIGKILL);
  }
  testing::eventually([&] {  // a supervisor may still be writing
    std::error_code error;
    fs::remove_all(path_ / "runs", error);
    return !error;
  });
}

void Workplace::script(const std::string& body) const {
  const fs::path trainer = path_ / "trainer";
  std::ofstream(trainer) << "#!/bin/bash\n" << body << "\n";
  fs::permissions(trainer, fs::perms::owner_all);
}

RunConfig Workplace::config(const RunKey& key) const {
  RunConfig config;
  config.job_id = key.job.value;
  config.epoch = key.epoch.value;
  config.rank = key.rank;
  config.job_dir = path_ / "jobs";
  return config;
}

void Workplace::open_host() {
  host_.reset();
  LocalHostOptions options;
  options.work_dir = path_;
  options.program = LLMCTL_BIN_DIR "/llmctl-worker";
  options.trainer = path_ / "trainer";
  options.environment = {"PATH=/usr/bin:/bin", "SECRET_TOKEN=hunter2"};
  options.spare_trainer = spare_trainer_;
  auto host = LocalHost::open(options, clock_);
  ASSERT_TRUE(host.ok()) << host.error().message;
  host_ = std::move(host).value();
}

void Workplace::start(const RunKey& key) {
  const Status started = host_->start(config(key), clock_.boot_ms() + 60'000);
  ASSERT_TRUE(started.ok()) << started.error().message;
}

void Workplace::observe_until(const std::function<bool()>& done) {
  const auto observe_once = [&] {
    for (Observed& one : host_->observe()) seen.push_back(std::move(one));
    if (done()) return true;
    pollfd wake{host_->wake_fd(), POLLIN, 0};
    if (!host_->has_more()) poll(&wake, 1, 20);
    return false;
  };
  EXPECT_TRUE(testing::eventually(observe_once, {})) << "it did not happen";
}

std::optional<ExitFile> Workplace::exit_of(const RunKey& key) const {
  for (const Observed& one : seen) {
    if (one.run == key && std::holds_alternative<ExitFile>(one.what)) {
      return std::get<ExitFile>(one.what);
    }
  }
  return std::nullopt;
}

ExitFile Workplace::wait_exit(const RunKey& key) {
  observe_until([&] { return exit_of(key).has_value(); });
  return exit_of(key).value_or(ExitFile{});
}

fs::path Workplace::run_path(const RunKey& key) const {
  return host_ ? host_->find(key).value_or("") : path_ / "runs" / directory_name(key);
}

std::string Workplace::text(const char* file, const RunKey& key) const {
  std::ifstream in(run_path(key) / file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

PidFile Workplace::pids(const RunKey& key) {
  const RunDirectory directory(run_path(key));
  std::optional<PidFile> file;
  observe_until([&] { return (file = directory.read_pids()).has_value(); });
  return file.value_or(PidFile{});
}

}  // namespace llmctl::worker
