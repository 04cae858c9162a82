// The real llmctl-trainer in a run directory of its own, as a worker would start it.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/run/run_config.h"

namespace llmctl {

class TrainerProcess {
 public:
  // Writes config.json into `run_directory` and starts `llmctl-trainer <config.mode>`.
  TrainerProcess(const RunConfig& config, std::filesystem::path run_directory);
  ~TrainerProcess();  // kills what still runs
  TrainerProcess(const TrainerProcess&) = delete;
  TrainerProcess& operator=(const TrainerProcess&) = delete;

  void signal(int number) const;
  // Waits until a report line says so; false when the process ends first.
  bool wait_line(const std::function<bool(const nlohmann::json&)>& wanted);
  bool wait_step(int64_t step);
  int wait_exit();  // exit code, or 128 + signal
  std::vector<nlohmann::json> lines() const;
  std::vector<nlohmann::json> lines(const std::string& type) const;

 private:
  bool ended();
  std::filesystem::path run_directory_;
  pid_t pid_ = 0;
  int status_ = 0;
  bool reaped_ = false;
};

struct ProgramOutput {
  int code = 0;
  std::string out;  // standard output
};
ProgramOutput run_program(const std::string& command_line);

}  // namespace llmctl
