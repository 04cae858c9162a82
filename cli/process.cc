#include "cli/process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>

#include "cli/interrupt.h"
#include "core/clock.h"

extern char** environ;

namespace llmctl {

constexpr int kPollMs = 10;

int64_t process_start_ticks(int64_t pid) {
  if (pid <= 0) return 0;
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(stat, line)) return 0;
  const size_t name_end = line.rfind(')');  // the name may hold spaces and parentheses
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(line.substr(name_end + 1));
  std::string field;
  for (int number = 3; fields >> field; ++number) {
    if (number == 3 && (field == "Z" || field == "X")) return 0;
    if (number == 22) return std::strtoll(field.c_str(), nullptr, 10);
  }
  return 0;
}

bool is_alive(const ProcessRecord& process) {
  const int64_t ticks = process_start_ticks(process.pid);
  return ticks != 0 && ticks == process.start_ticks;
}

Result<ProcessRecord> start_detached(const Launch& launch) {
  std::vector<char*> arguments;
  for (const std::string& argument : launch.arguments) {
    arguments.push_back(const_cast<char*>(argument.c_str()));  // posix_spawn does not write to it
  }
  arguments.push_back(nullptr);

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, launch.log_path.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  posix_spawn_file_actions_addclosefrom_np(&files, 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);

  pid_t pid = 0;
  const int error = posix_spawn(&pid, launch.arguments[0].c_str(), &files, &attributes,
                                arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) {
    return Error{Code::internal,
                 "cannot start " + launch.arguments[0] + ": " + std::strerror(error),
                 "the four programs are installed together; is this installation complete?"};
  }
  return ProcessRecord{launch.name, pid, process_start_ticks(pid)};
}

static void reap(int64_t pid) {  // only when it is our own child; else nothing happens
  waitpid(static_cast<pid_t>(pid), nullptr, WNOHANG);
}

void stop_process(const ProcessRecord& process, Millis patience_ms) {
  if (!is_alive(process)) return;
  kill(static_cast<pid_t>(process.pid), SIGTERM);
  const auto gone = [&] {
    reap(process.pid);
    return !is_alive(process);
  };
  if (wait_until(patience_ms, gone)) return;
  kill(static_cast<pid_t>(process.pid), SIGKILL);
  wait_until(patience_ms, gone);
}

void kill_group(const ProcessRecord& process) {
  if (!is_alive(process)) return;
  if (kill(-static_cast<pid_t>(process.pid), SIGKILL) != 0) {
    kill(static_cast<pid_t>(process.pid), SIGKILL);  // not a group leader
  }
}

bool wait_until(Millis patience_ms, const std::function<bool()>& done) {
  const SystemClock clock;
  const Millis deadline = clock.boot_ms() + patience_ms;
  while (!done()) {
    if (clock.boot_ms() >= deadline) return false;
    pause_ms(kPollMs);
  }
  return true;
}

std::string log_tail(const std::string& path, int lines) {
  std::ifstream file(path);
  constexpr std::streamoff kTailBytes = 4096;
  file.seekg(0, std::ios::end);
  file.seekg(std::max<std::streamoff>(0, static_cast<std::streamoff>(file.tellg()) - kTailBytes));
  std::vector<std::string> kept;
  for (std::string line; std::getline(file, line);) kept.push_back(line);
  std::string tail;
  const size_t from =
      kept.size() > static_cast<size_t>(lines) ? kept.size() - static_cast<size_t>(lines) : 0;
  for (size_t i = from; i < kept.size(); ++i) tail += "\n  " + kept[i];
  return tail;
}

}  // namespace llmctl
