// The command line of llmctl-worker.
#pragma once

#include <optional>
#include <string>

#include "core/base/limits.h"
#include "proto/endpoint.h"
#include "worker/devices/inventory.h"

namespace llmctl::worker {

struct Options {
  std::string name;                // default: the host's
  std::string work_dir, jobs_dir;  // absolute once parsed
  std::string trainer;             // default: llmctl-trainer beside this program
  bool spare_trainer = true;
  std::string metrics_listen = "127.0.0.1:0";  // empty: off
  Millis hang_timeout_ms = limits::kHangTimeout;
  int32_t threads = 0;  // shared by this worker's CPU ranks; 0: all cores
  InventoryOptions inventory;
  Endpoint scheduler;
};

// None: --help, --version or a mistake was answered; exit with `exit_code`.
std::optional<Options> parse_options(int argc, const char* const* argv, int& exit_code);

}  // namespace llmctl::worker
