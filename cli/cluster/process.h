// Processes of the local cluster: started detached (own session, output to a log, nothing
// inherited), recognised later by pid and start time, so that a reused pid is never taken for ours.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/units.h"

namespace llmctl {

struct ProcessRecord {
  std::string name;         // "scheduler", "w1"
  int64_t pid = 0;          // 0: never started
  int64_t start_ticks = 0;  // field 22 of /proc/PID/stat
};

int64_t process_start_ticks(int64_t pid);     // 0: no such process, or a zombie
bool is_alive(const ProcessRecord& process);  // and nobody has killed it
bool is_gone(const ProcessRecord& process);   // no thread, file or port of it is left

struct Launch {
  std::string name;
  std::vector<std::string> arguments;  // [0] is the program's path
  std::string log_path;                // standard output and error are appended here
};
Result<ProcessRecord> start_detached(const Launch& launch);

// Asks (SIGTERM), waits up to `patience_ms`, then kills. Returns when it is gone.
void stop_process(const ProcessRecord& process, Millis patience_ms);
bool await_gone(const ProcessRecord& process, Millis patience_ms);  // false: not in time
void kill_group(const ProcessRecord& process);  // SIGKILL to its process group, if it is alive

// Asks `done` every few milliseconds; false when `patience_ms` have passed.
bool wait_until(Millis patience_ms, const std::function<bool()>& done);

std::string log_tail(const std::string& path, int lines);

}  // namespace llmctl
