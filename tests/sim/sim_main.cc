// sim_main --seed N [--seeds COUNT] [--steps M] [--verbose]: one history, or many, outside the
// test.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "world.h"

int main(int argc, char** argv) {
  llmctl::sim::Options options;
  uint64_t count = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    const bool value = i + 1 < argc;
    if (flag == "--verbose") {
      options.verbose = true;
    } else if (flag == "--seed" && value) {
      options.seed = std::strtoull(argv[++i], nullptr, 10);
    } else if (flag == "--seeds" && value) {
      count = std::strtoull(argv[++i], nullptr, 10);
    } else if (flag == "--steps" && value) {
      options.steps = std::atoi(argv[++i]);
    } else {
      std::fprintf(stderr, "usage: sim_main --seed N [--seeds COUNT] [--steps M] [--verbose]\n");
      return 2;
    }
  }
  int failed = 0;
  for (uint64_t i = 0; i < count; ++i, ++options.seed) {
    llmctl::sim::World world(options);
    world.run();
    for (const std::string& problem : world.problems()) {
      std::printf("seed %llu: %s\n", static_cast<unsigned long long>(options.seed),
                  problem.c_str());
    }
    if (!world.problems().empty()) ++failed;
  }
  std::printf("%llu histories, %d with problems\n", static_cast<unsigned long long>(count), failed);
  return failed == 0 ? 0 : 1;
}
