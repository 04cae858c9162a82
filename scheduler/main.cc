// llmctl-scheduler: data directory, store, server, metrics; then waits for SIGTERM or SIGINT.
#include <prometheus/registry.h>
#include <pthread.h>

#include <csignal>

#include "core/base/log.h"
#include "metrics/exposition.h"
#include "scheduler/options.h"

namespace llmctl {
namespace {

int report(const Error& error) {
  log_error(error.message, {{"hint", error.hint}});
  return 1;
}

int serve(Options options, const sigset_t& stop_signals) {
  auto directory = DataDir::open(options.data_dir);
  if (!directory.ok()) return report(directory.error());
  const SystemClock clock;
  prometheus::Registry registry;
  std::unique_ptr<Exposition> exposition;
  if (!options.metrics_listen.empty()) {
    auto started = Exposition::start(options.metrics_listen, registry);
    if (!started.ok()) return report(started.error());
    exposition = std::move(started).value();
    options.server.metrics_port = exposition->port();
  }
  auto server = Server::start(options.server, *directory, clock, registry);
  if (!server.ok()) return report(server.error());
  const std::string metrics_address = exposition ? exposition->address() : "";
  const Status announced = directory->announce((*server)->address(), metrics_address);
  if (!announced.ok()) return report(announced.error());
  log_info("listening", {{"address", (*server)->address()},
                         {"metrics", metrics_address},
                         {"version", options.server.version}});
  int signal = 0;
  sigwait(&stop_signals, &signal);
  log_info("stopping", {{"signal", std::to_string(signal)}});
  directory->retract();
  (*server)->stop();
  return 0;
}

}  // namespace
}  // namespace llmctl

int main(int argc, char** argv) {
  int exit_code = 0;
  const auto options = llmctl::parse_options(argc, argv, exit_code);
  if (!options) return exit_code;
  // Before any thread starts: only sigwait() in serve() sees them. A file-size limit must be a
  // failed write that the store reports, not the end of the process.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  return llmctl::serve(*options, stop_signals);
}
