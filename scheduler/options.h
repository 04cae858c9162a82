// The command line of llmctl-scheduler.
#pragma once

#include <optional>
#include <string>

#include "scheduler/api/server.h"

namespace llmctl {

struct Options {
  std::string data_dir;
  std::string metrics_listen = "127.0.0.1:0";  // empty: off
  ServerOptions server;
};

// None: --help, --version or a mistake was answered; exit with `exit_code`.
std::optional<Options> parse_options(int argc, const char* const* argv, int& exit_code);

}  // namespace llmctl
