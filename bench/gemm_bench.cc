// What the trainer's matrix products reach on the CPU by themselves, for bench/train.py: the mean
// rate over a time, since the best moment of a shared machine says nothing about its minutes.
//   gemm_bench THREADS SECONDS      the fastest of a few sizes, as one JSON line
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "trainer/ops/linear.h"

namespace llmctl {
namespace {

constexpr int64_t kSizes[] = {768, 1'024, 2'048};

double mean_rate(int64_t n, double seconds) {
  const at::Tensor a = at::full({n, n}, 0.5), b = at::full({n, n}, 0.25);
  at::Tensor out = at::empty({n, n});
  product_into(out, a, b);  // what the first one costs is not counted
  const auto begin = std::chrono::steady_clock::now();
  double passed = 0;
  int64_t products = 0;
  while (passed < seconds) {
    product_into(out, a, b);
    ++products;
    passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  return 2.0 * static_cast<double>(n * n * n * products) / passed;
}

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: gemm_bench THREADS SECONDS\n", stderr);
    return 2;
  }
  at::set_num_threads(std::atoi(argv[1]));
  double best = 0;
  for (const int64_t n : kSizes) {
    best = std::max(best, mean_rate(n, std::atof(argv[2]) / std::size(kSizes)));
  }
  std::printf("{\"flops\":%.0f}\n", best);
  return 0;
}

}  // namespace
}  // namespace llmctl

int main(int argc, char** argv) {
  return llmctl::main(argc, argv);
}
