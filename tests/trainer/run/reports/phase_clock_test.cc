// Where time goes, and the roofline it is told against.
#include "trainer/run/reports/phase_clock.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/trainer/scratch.h"
#include "trainer/device/device_memory.h"
#include "trainer/run/device_flops.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;

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
  for (const char* precision : {"fp32", "bf16", "fp16"}) {
    EXPECT_GT(measure_device_flops(c10::Device(c10::kCPU), precision), 1e6) << precision;
  }
  EXPECT_EQ(device_memory::live_bytes(), before);
  EXPECT_EQ(device_memory::peak_bytes(), before);
}

TEST(DeviceFlops, AreUnknownWithoutMemoryForThem) {
  device_memory::release_kept_blocks();
  device_memory::set_cap(device_memory::live_bytes() + (1 << 20));
  EXPECT_EQ(measure_device_flops(c10::Device(c10::kCPU), "fp32"), 0);
  device_memory::set_cap(0);
}

// The file of the one precision that was measured.
fs::path only_file(const fs::path& directory) {
  EXPECT_EQ(std::distance(fs::directory_iterator(directory), {}), 1);
  return fs::directory_iterator(directory)->path();
}

TEST(DeviceFlops, AreTheBestOfAllMeasurementsOfTheirPrecision) {
  const c10::Device cpu(c10::kCPU);
  const Scratch scratch;
  const fs::path cache = scratch.path() / "cache";  // made on the way
  const double first = best_device_flops(cpu, "fp32", cache);
  const fs::path file = only_file(cache);
  auto remembered = nlohmann::json::parse(read_file(file));
  EXPECT_EQ(remembered["flops"], first);
  EXPECT_EQ(remembered["precision"], "fp32");

  remembered["flops"] = 1e30;  // measured while nothing else computed
  write_file(file, remembered.dump());
  EXPECT_EQ(best_device_flops(cpu, "fp32", cache), 1e30);
  EXPECT_LT(best_device_flops(cpu, "bf16", cache), 1e30) << "has a roof of its own";
  write_file(file, R"({"flops": 1})");  // while something else did
  EXPECT_GT(best_device_flops(cpu, "fp32", cache), 1e6);
  write_file(file, "damaged");
  EXPECT_GT(best_device_flops(cpu, "fp32", cache), 1e6);
  EXPECT_GT(best_device_flops(cpu, "fp32", ""), 1e6);
}

}  // namespace
}  // namespace llmctl
