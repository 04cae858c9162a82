// Where time goes, and the roofline it is told against.
#include "trainer/run/reports/phase_clock.h"

#include <gtest/gtest.h>

#include "trainer/device/device_memory.h"
#include "trainer/run/device_flops.h"

namespace llmctl {
namespace {

void let_time_pass() {
  const auto begin = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() == begin) {
  }
}

double of(const PhaseClock& clock, TrainPhase phase) {
  return clock.seconds()[static_cast<size_t>(phase)];
}

TEST(PhaseClock, CountsOnlyThePhaseThatRuns) {
  PhaseClock clock;
  let_time_pass();
  clock.enter(TrainPhase::compute);
  let_time_pass();
  clock.enter(TrainPhase::optimizer);
  const double compute = of(clock, TrainPhase::compute);
  let_time_pass();
  clock.leave();
  const double optimizer = of(clock, TrainPhase::optimizer);
  let_time_pass();
  clock.leave();
  EXPECT_GT(compute, 0);
  EXPECT_GT(optimizer, 0);
  EXPECT_EQ(of(clock, TrainPhase::compute), compute);
  EXPECT_EQ(of(clock, TrainPhase::optimizer), optimizer);
  EXPECT_EQ(of(clock, TrainPhase::data), 0);
}

TEST(PhaseClock, AddsUpAPhaseThatComesAgain) {
  PhaseClock clock;
  clock.enter(TrainPhase::eval);
  let_time_pass();
  clock.leave();
  const double once = of(clock, TrainPhase::eval);
  clock.enter(TrainPhase::eval);
  let_time_pass();
  clock.leave();
  EXPECT_GT(of(clock, TrainPhase::eval), once);
}

TEST(DeviceFlops, AreMeasuredWithoutALastingTrace) {
  device_memory::release_kept_blocks();
  const Bytes before = device_memory::live_bytes();
  EXPECT_GT(measure_device_flops(c10::Device(c10::kCPU)), 1e6);
  EXPECT_EQ(device_memory::live_bytes(), before);
  EXPECT_EQ(device_memory::peak_bytes(), before);
}

TEST(DeviceFlops, AreUnknownWithoutMemoryForThem) {
  device_memory::release_kept_blocks();
  device_memory::set_cap(device_memory::live_bytes() + (1 << 20));
  EXPECT_EQ(measure_device_flops(c10::Device(c10::kCPU)), 0);
  device_memory::set_cap(0);
}

}  // namespace
}  // namespace llmctl
