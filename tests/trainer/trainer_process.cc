#include "tests/trainer/trainer_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include "core/base/json_reader.h"

extern char** environ;

namespace llmctl {

static constexpr auto kNap = std::chrono::milliseconds(10);

TrainerProcess::TrainerProcess(const RunConfig& config, std::filesystem::path run_directory)
    : run_directory_(std::move(run_directory)) {
  std::filesystem::create_directories(run_directory_);
  const std::string file = run_directory_ / "config.json", out = run_directory_ / "report.jsonl";
  std::ofstream(file) << dump_json(to_json(config));
  const std::string program = LLMCTL_BIN_DIR "/llmctl-trainer";
  const char* argv[] = {program.c_str(), config.mode.c_str(), file.c_str(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  CHECK(posix_spawn(&pid_, program.c_str(), &actions, nullptr, const_cast<char**>(argv), environ) ==
        0);
  posix_spawn_file_actions_destroy(&actions);
}

TrainerProcess::~TrainerProcess() {
  if (!ended()) {
    kill(pid_, SIGKILL);
    wait_exit();
  }
}

void TrainerProcess::signal(int number) const {
  kill(pid_, number);
}

bool TrainerProcess::ended() {
  if (!reaped_) reaped_ = waitpid(pid_, &status_, WNOHANG) == pid_;
  return reaped_;
}

int TrainerProcess::wait_exit() {
  while (!ended()) std::this_thread::sleep_for(kNap);
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

bool TrainerProcess::wait_line(const std::function<bool(const nlohmann::json&)>& wanted) {
  for (bool over = false;; std::this_thread::sleep_for(kNap)) {
    for (const auto& line : lines()) {
      if (wanted(line)) return true;
    }
    if (over) return false;
    over = ended();  // read once more after the end
  }
}

bool TrainerProcess::wait_step(int64_t step) {
  return wait_line([step](const auto& l) { return l["type"] == "step" && l["step"] >= step; });
}

std::vector<nlohmann::json> TrainerProcess::lines() const {
  std::vector<nlohmann::json> out;
  std::ifstream file(run_directory_ / "report.jsonl");
  for (std::string line; std::getline(file, line) && !file.eof();) {
    out.push_back(nlohmann::json::parse(line));
  }
  return out;
}

std::vector<nlohmann::json> TrainerProcess::lines(const std::string& type) const {
  std::vector<nlohmann::json> out;
  for (const auto& line : lines()) {
    if (line["type"] == type) out.push_back(line);
  }
  return out;
}

ProgramOutput run_program(const std::string& command_line) {
  ProgramOutput result;
  FILE* pipe = popen(command_line.c_str(), "r");
  CHECK(pipe != nullptr);
  char buffer[4096];
  for (size_t n = 0; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) result.out.append(buffer, n);
  const int status = pclose(pipe);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace llmctl
