// What Linux tells of a process in /proc/PID/stat, as far as it is needed to recognise one again
// and to see whether it still runs. Any thread.
#pragma once

#include <cstdint>
#include <optional>

namespace llmctl {

// Fields as proc(5) numbers them, from 1.
struct ProcessStat {
  char state = 'X';         // 3
  uint64_t flags = 0;       // 9
  int64_t threads = 0;      // 20
  int64_t start_ticks = 0;  // 22: since boot; a later process of the same pid has another one
  uint64_t pending = 0;     // 31: signals sent and not yet taken

  bool zombie() const { return state == 'Z' || state == 'X'; }
};

std::optional<ProcessStat> read_process_stat(int64_t pid);  // none: there is no such process

}  // namespace llmctl
