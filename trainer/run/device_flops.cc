#include "trainer/run/device_flops.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>

#include "trainer/device/device_memory.h"
#include "trainer/device/tensor.h"
#include "trainer/ops/linear.h"

namespace llmctl {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr Seconds kEnough{0.15};  // then no further round begins
constexpr int kRounds = 32;

double best_rate(at::Device device) {
  // Large enough that start and end do not count, small enough for many rounds.
  const int64_t n = device.is_cpu() ? 768 : 4'096;
  const int products = device.is_cpu() ? 1 : 8;  // queued together
  const CauseScope cause(Cause::workspace);
  const auto options = at::device(device).dtype(at::kFloat);
  const at::Tensor a = at::full({n, n}, 0.5, options), b = at::full({n, n}, 0.25, options);
  at::Tensor out = at::empty({n, n}, options);
  const auto begin = std::chrono::steady_clock::now();
  auto last = begin;
  Seconds best = Seconds::max();
  for (int round = 0; round < kRounds && last - begin < kEnough; ++round) {
    for (int i = 0; i < products; ++i) product_into(out, a, b);
    (void)out[0][0].item<float>();  // waits for the device
    const auto now = std::chrono::steady_clock::now();
    best = std::min(best, Seconds(now - last));
    last = now;
  }
  return 2.0 * static_cast<double>(n * n * n * products) / best.count();
}

}  // namespace

double measure_device_flops(at::Device device) {
  double rate = 0;
  try {
    rate = best_rate(device);
  } catch (const c10::OutOfMemoryError&) {
    rate = 0;
  }
  device_memory::release_kept_blocks();
  device_memory::reset_peak();
  return rate;
}

}  // namespace llmctl
