// llmctl-worker: builds the parts, wires them, runs the loop until SIGTERM. As `llmctl-worker
// supervise …` it and `llmctl-worker nursery` it is other,
// much smaller programs (supervise.h, nursery.h).
#include <prometheus/registry.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/base/descriptors.h"
#include "core/base/json_reader.h"
#include "core/base/log.h"
#include "metrics/exposition.h"
#include "worker/loop.h"
#include "worker/options.h"
#include "worker/spawn/supervise.h"

extern char** environ;

namespace llmctl::worker {
namespace {

int fail(const Error& error) {
  log_sentence("worker", error.message + (error.hint.empty() ? "" : " (" + error.hint + ")"));
  return 1;
}

// A new name for every process: the scheduler tells a restart from a reconnect.
std::string new_instance() {
  return read_small_file("/proc/sys/kernel/random/uuid", 64).value_or("").substr(0, 36) + "-" +
         std::to_string(getpid());
}

AgentConfig agent_config(const Options& options, const std::vector<DeviceStats>& devices) {
  AgentConfig config;
  config.name = options.name;
  config.instance = new_instance();
  config.jobs_dir = options.jobs_dir;
  config.cache_dir = options.work_dir + "/cache";
  config.threads_per_rank = std::max(1, options.threads / options.inventory.slots);
  config.hang_timeout_ms = options.hang_timeout_ms;
  config.inventory = machine_inventory(options.inventory, devices);
  const auto boot = read_small_file("/proc/sys/kernel/random/boot_id", 64).value_or("");
  config.inventory.place = boot.substr(0, 36) + " " + options.work_dir;
  return config;
}

// WORK/worker.json: this process serves, and where its metrics are.
Status announce(const Options& options, const std::string& metrics_address) {
  const nlohmann::json document = {
      {"name", options.name}, {"pid", getpid()}, {"metrics_address", metrics_address}};
  return replace_file(options.work_dir + "/worker.json", dump_json(document) + "\n", false);
}

std::vector<std::string> own_environment() {
  std::vector<std::string> lines;
  for (char** line = environ; *line != nullptr; ++line) lines.emplace_back(*line);
  return lines;
}

int serve(const Options& options, int stop_fd) {
  raise_descriptor_limit();  // every run has several files open
  const SystemClock clock;
  LocalHostOptions host_options;
  host_options.work_dir = options.work_dir;
  host_options.jobs_dir = options.jobs_dir;
  host_options.program = "/proc/self/exe";  // this very binary, also after an upgrade replaced it
  host_options.trainer = options.trainer;
  host_options.environment = own_environment();
  host_options.spare_trainer = options.spare_trainer;
  auto host = LocalHost::open(std::move(host_options), clock);
  if (!host.ok()) return fail(host.error());
  const auto devices = open_devices(options.inventory);
  AgentConfig config = agent_config(options, devices->read({}));
  config.cluster_id = (*host)->cluster();
  Agent agent(std::move(config), **host);
  prometheus::Registry registry;
  WorkerMetrics metrics(registry, agent.inventory());
  std::unique_ptr<Exposition> exposition;
  if (!options.metrics_listen.empty()) {
    auto started = Exposition::start(options.metrics_listen, registry);
    if (!started.ok()) return fail(started.error());
    exposition = std::move(started).value();
  }
  SchedulerLink link(options.scheduler, clock);
  const Status announced = announce(options, exposition ? exposition->address() : "");
  if (!announced.ok()) return fail(announced.error());
  log_sentence("worker", "serving as " + options.name + " from " + options.work_dir);
  Loop({clock,
        **host,
        agent,
        link,
        *devices,
        metrics,
        {{"runs", options.work_dir}, {"jobs", options.jobs_dir}}})
      .run(stop_fd);
  log_sentence("worker", "stopping; running ranks go on and will be adopted");
  unlink((options.work_dir + "/worker.json").c_str());
  return 0;
}

// Before any thread starts, so that only the loop sees them.
OpenFile block_stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a size limit is a failed write, not the end
  return OpenFile(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

}  // namespace
}  // namespace llmctl::worker

int main(int argc, char** argv) {
  using namespace llmctl::worker;
  if (argc > 1 && std::strcmp(argv[1], "supervise") == 0) {
    if (argc == 5) return supervise({argv[2], argv[3], argv[4]});
    std::fputs("usage: llmctl-worker supervise DIR TRAINER MODE\n", stderr);
    return 2;
  }
  if (argc == 2 && std::strcmp(argv[1], "nursery") == 0) return run_nursery();
  int exit_code = 0;
  const auto options = parse_options(argc, argv, exit_code);
  if (!options) return exit_code;
  const OpenFile stop = block_stop_signals();
  return serve(*options, stop.fd());
}
