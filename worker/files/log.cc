#include "worker/files/log.h"

#include <unistd.h>

#include "core/base/clock.h"
#include "worker/files/open_file.h"

namespace llmctl::worker {

void say(const std::string& line) {
  write_all(STDERR_FILENO, format_rfc3339(SystemClock().unix_ms()) + " worker: " + line + "\n");
}

}  // namespace llmctl::worker
