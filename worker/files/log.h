// One line of the worker's own log, on standard error: "2026-11-21T08:30:00.123Z worker: …".
// Thread-safe.
#pragma once

#include <string>

namespace llmctl::worker {

void say(const std::string& line);

}  // namespace llmctl::worker
