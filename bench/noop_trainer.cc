// A trainer that trains nothing, in the shape of docs/RUN_DIRECTORY.md, so that a bench measures
// the road to the trainer and back. Writes when it started (CLOCK_BOOTTIME, ns) to job_dir/started.
#include <sys/stat.h>
#include <time.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "core/run_config.h"

namespace {

long long boot_ns() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

void say(const nlohmann::json& line) {
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

void measure(const llmctl::RunConfig& config) {
  for (const llmctl::Plan& plan : config.candidates) {
    llmctl::ProbeResult result;
    result.micro_batch_size = plan.micro_batch_size;
    result.gradient_checkpointing = plan.gradient_checkpointing;
    result.memory.parameters = result.peak_bytes = 1 << 20;
    result.seconds_per_micro_batch = 1e-3;
    nlohmann::json line = to_json(result);
    line["type"] = "probe";
    say(line);
  }
}

void train() {
  llmctl::Progressed progress;
  progress.step = progress.steps = 1;
  progress.phase = "train";
  say(to_report(progress));
}

}  // namespace

int main(int argc, char** argv) {
  const long long started = boot_ns();
  if (argc != 3) return 1;
  std::ifstream file(argv[2]);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const auto config = llmctl::parse_run_config(text);
  if (!config.ok()) {
    std::fprintf(stderr, "%s\n", config.error().message.c_str());
    return 1;
  }
  say({{"type", "up"}, {"pid", 0}, {"parameters", 0}, {"device", config->device}});
  if (config->mode == "probe") {
    measure(*config);
  } else {
    ::mkdir(config->job_dir.c_str(), 0755);
    std::ofstream(config->job_dir + "/started") << started;
    train();
  }
  say({{"type", "end"}, {"outcome", "done"}, {"detail", ""}});
  return 0;
}
