#include "cli/cluster/process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <optional>

#include "cli/shell/interrupt.h"
#include "core/base/clock.h"
#include "core/base/process_stat.h"

extern char** environ;

namespace llmctl {

constexpr int kPollMs = 10;

// Told to die, or on its way: it may still hold its files and ports for a while.
static bool is_dying(const ProcessStat& stat) {
  constexpr uint64_t kExiting = 0x4;  // PF_EXITING of the kernel
  return stat.zombie() || (stat.flags & kExiting) != 0 ||
         (stat.pending & (1U << (SIGKILL - 1))) != 0;
}

int64_t process_start_ticks(int64_t pid) {
  const std::optional<ProcessStat> stat = read_process_stat(pid);
  return stat && !stat->zombie() ? stat->start_ticks : 0;
}

bool is_alive(const ProcessRecord& process) {
  const std::optional<ProcessStat> stat = read_process_stat(process.pid);
  return stat && stat->start_ticks == process.start_ticks && !is_dying(*stat);
}

bool is_gone(const ProcessRecord& process) {
  const std::optional<ProcessStat> stat = read_process_stat(process.pid);
  if (!stat || stat->start_ticks != process.start_ticks) return true;
  return stat->zombie() && stat->threads <= 1;  // the first thread may end before the others
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

bool await_gone(const ProcessRecord& process, Millis patience_ms) {
  return wait_until(patience_ms, [&] {
    reap(process.pid);
    return is_gone(process);
  });
}

void stop_process(const ProcessRecord& process, Millis patience_ms) {
  if (is_alive(process)) kill(static_cast<pid_t>(process.pid), SIGTERM);
  if (await_gone(process, patience_ms)) return;
  kill(static_cast<pid_t>(process.pid), SIGKILL);
  await_gone(process, patience_ms);
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
