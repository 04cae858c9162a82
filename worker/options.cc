#include "worker/options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "core/base/cpus.h"
#include "core/base/version.h"
#include "worker/files/open_file.h"

namespace llmctl::worker {

namespace fs = std::filesystem;

static constexpr Bytes kTokenFile = 4 << 10;

// What CLI11 leaves as text.
struct RawOptions {
  std::string cpu_memory, hang_timeout, token_file;
  EndpointText scheduler;
};

static void declare(CLI::App& app, Options& options, RawOptions& raw) {
  app.set_version_flag("--version", std::string("llmctl-worker ") + kVersion);
  app.add_option("--scheduler", raw.scheduler.address,
                 "HOST:PORT of the scheduler; https://HOST:PORT for TLS")
      ->required();
  app.add_option("--work-dir", options.work_dir,
                 "Runs, logs and token caches; one worker per folder")
      ->required();
  app.add_option("--jobs-dir", options.jobs_dir,
                 "Job folders with checkpoints, shared by all workers that may run the same jobs")
      ->required();
  app.add_option("--name", options.name,
                 "Name of this worker, stable across restarts (default: "
                 "the host's name)");
  app.add_option("--advertise-host", options.inventory.hostname,
                 "Name or address under which ranks of other workers reach this machine "
                 "(default: the host's name)");
  app.add_option("--cpu-memory", raw.cpu_memory,
                 "Memory budget of the CPU, e.g. 6GiB (default: 80 % of what is available)");
  app.add_option("--slots", options.inventory.slots, "Ranks that may share one device")
      ->check(CLI::Range(1, limits::kRunsPerWorker))
      ->capture_default_str();
  app.add_option("--threads", options.threads,
                 "Cores that the CPU ranks of this worker share; 0: all")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  app.add_flag("!--no-cuda", options.inventory.use_nvml, "Serve the CPU even where GPUs are");
  app.add_option("--nvml", options.inventory.nvml_path, "NVML library to open")
      ->capture_default_str();
  app.add_option("--trainer", options.trainer,
                 "Path of llmctl-trainer (default: beside this program)");
  app.add_flag("!--no-spare-trainer", options.spare_trainer,
               "Do not keep a trainer loaded ahead of need: saves its memory (70 MB, with CUDA "
               "more) and delays every start by the loading of LibTorch");
  app.add_option("--metrics-listen", options.metrics_listen,
                 "HOST:PORT of /metrics for Prometheus; \"\" turns it off")
      ->capture_default_str();
  app.add_option("--token-file", raw.token_file, "File with the scheduler's token");
  app.add_option("--tls-ca", raw.scheduler.ca_file,
                 "PEM file of the authority of the scheduler's certificate; implies TLS "
                 "(default: what this system trusts)");
  app.add_option("--hang-timeout", raw.hang_timeout,
                 "A rank that reports nothing for this long is killed (default: 120s)");
  app.footer(
      "llmctl-worker supervise DIR TRAINER MODE   is how it watches one rank; not for people");
}

static Result<std::string> read_text(const std::string& path, Bytes limit) {
  auto text = read_small_file(path, limit);
  if (!text) {
    return Error{Code::invalid_argument,
                 path + ": cannot be read, or is larger than " + format_bytes(limit), ""};
  }
  while (!text->empty() && text->back() == '\n') text->pop_back();
  return *text;
}

static Status resolve(Options& options, RawOptions& raw) {
  if (!raw.cpu_memory.empty()) options.inventory.cpu_memory = TRY(parse_bytes(raw.cpu_memory));
  if (!raw.hang_timeout.empty()) options.hang_timeout_ms = TRY(parse_duration(raw.hang_timeout));
  if (options.hang_timeout_ms <= 0) {
    return Error{Code::invalid_argument, "--hang-timeout: expected more than 0", ""};
  }
  if (!raw.token_file.empty()) raw.scheduler.token = TRY(read_text(raw.token_file, kTokenFile));
  options.scheduler = TRY(parse_endpoint(raw.scheduler));
  options.inventory.version = kVersion;
  // Not the advertised one: that may be an address, which several workers behind it share.
  if (options.name.empty()) options.name = machine_inventory({}, {}).hostname;
  if (options.name.empty() || options.name.size() > limits::kNameBytes) {
    return Error{Code::invalid_argument, "--name: expected 1 to 128 characters", ""};
  }
  if (options.threads == 0) options.threads = usable_cpus();
  std::error_code error;
  if (options.trainer.empty()) {
    options.trainer = fs::read_symlink("/proc/self/exe", error).parent_path() / "llmctl-trainer";
  }
  for (std::string* path : {&options.work_dir, &options.jobs_dir, &options.trainer}) {
    *path = fs::absolute(*path, error).string();
  }
  return ok_status();
}

std::optional<Options> parse_options(int argc, const char* const* argv, int& exit_code) {
  Options options;
  RawOptions raw;
  CLI::App app("llmctl-worker: runs training jobs on this machine for an llmctl-scheduler");
  declare(app, options, raw);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {  // CLI11's edge: help and version come here too
    exit_code = app.exit(error) == 0 ? 0 : 2;
    return std::nullopt;
  }
  const Status resolved = resolve(options, raw);
  if (resolved.ok()) return options;
  const Error& error = resolved.error();
  std::fprintf(stderr, "llmctl-worker: %s\n", error.message.c_str());
  if (!error.hint.empty()) std::fprintf(stderr, "hint: %s\n", error.hint.c_str());
  exit_code = 2;
  return std::nullopt;
}

}  // namespace llmctl::worker
