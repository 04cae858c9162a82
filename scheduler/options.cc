#include "scheduler/options.h"

#include <CLI/CLI.hpp>

#include "core/base/version.h"

namespace llmctl {

std::optional<Options> parse_options(int argc, const char* const* argv, int& exit_code) {
  Options options;
  AccessOptions& access = options.server.access;
  access.listen = "127.0.0.1:0";
  options.server.version = kVersion;
  CLI::App app("llmctl-scheduler: queues, fits and places training jobs, and keeps them safe");
  app.set_version_flag("--version", std::string("llmctl-scheduler ") + kVersion);
  app.add_option("--data-dir", options.data_dir, "Where the store lives; one scheduler per folder")
      ->required();
  app.add_option("--listen", access.listen, "HOST:PORT of the API; port 0 takes a free one")
      ->capture_default_str();
  app.add_option("--metrics-listen", options.metrics_listen,
                 "HOST:PORT of /metrics for Prometheus; \"\" turns it off")
      ->capture_default_str();
  app.add_option("--lease-ms", options.server.scheduler.lease_ms,
                 "How long a worker may be silent before its runs are given up")
      ->check(CLI::Range(500, 3'600'000))
      ->capture_default_str();
  app.add_option("--grace-ms", options.server.scheduler.grace_ms,
                 "How much longer to wait before a lost run is started elsewhere")
      ->check(CLI::Range(0, 3'600'000))
      ->capture_default_str();
  app.add_option("--token-file", access.token_file,
                 "File with the token that every call must carry");
  app.add_option("--tls-cert", access.tls_cert, "PEM certificate chain; needs --tls-key");
  app.add_option("--tls-key", access.tls_key, "PEM private key; needs --tls-cert");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {  // CLI11's edge: help and version come here too
    exit_code = app.exit(error) == 0 ? 0 : 2;
    return std::nullopt;
  }
  return options;
}

}  // namespace llmctl
