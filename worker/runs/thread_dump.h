// What every thread of a process is doing, from /proc: for a rank that hangs. Reads only; works on
// a stopped process. Kernel stacks need root and are left out without it.
#pragma once

#include <sys/types.h>

#include <string>

namespace llmctl::worker {

struct ThreadDump {
  std::string headline;  // "3 threads: 2 in futex_do_wait, 1 stopped"
  std::string text;      // one paragraph per thread
};
ThreadDump dump_threads(pid_t pid);

}  // namespace llmctl::worker
