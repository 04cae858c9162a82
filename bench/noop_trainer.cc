// A trainer that trains nothing, in the shape of docs/RUN_DIRECTORY.md, so that a bench measures
// the road to the trainer and back: linked statically, since it is the load, not the road. With
// NOOP_STARTED it writes when it started (CLOCK_BOOTTIME, ns) to job_dir/started.
#include <sys/stat.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace {

using nlohmann::json;

long long boot_ns() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

void say(const json& line) {
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

void measure(const json& plans) {
  constexpr int kBytes = 1 << 20;
  for (const json& plan : plans) {
    say({{"type", "probe"},
         {"micro_batch_size", plan["micro_batch_size"]},
         {"gradient_checkpointing", plan["gradient_checkpointing"]},
         {"memory", {{"parameters", kBytes}}},
         {"peak_bytes", kBytes},
         {"seconds_per_micro_batch", 1e-3}});
  }
}

void write_started(const std::string& job_dir, long long ns) {
  ::mkdir(job_dir.c_str(), 0755);
  std::ofstream(job_dir + "/started") << ns;
}

}  // namespace

int main(int argc, char** argv) {
  const long long started = boot_ns();
  if (argc != 3) return 1;
  std::ifstream file(argv[2]);
  const json config = json::parse(file);
  say({{"type", "up"}, {"pid", 0}, {"parameters", 0}, {"device", config["device"]}});
  if (config["mode"] == "probe") {
    measure(config["candidates"]);
  } else {
    if (std::getenv("NOOP_STARTED") != nullptr) write_started(config["job_dir"], started);
    say({{"type", "step"}, {"step", 1}, {"steps", 1}, {"phase", "train"}});
  }
  say({{"type", "end"}, {"outcome", "done"}, {"detail", ""}});
  return 0;
}
