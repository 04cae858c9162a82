#include "trainer/run/probe_search.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/plan/plan_search.h"

namespace llmctl {
namespace {

// A device whose peaks are affine in the micro-batch, and whose passes take time in proportion.
struct Machine {
  Bytes cap = 0;
  Bytes fixed = 100 << 20, each = 10 << 20;
  double seconds_each = 1, making = 2;

  ProbeResult measure(const Plan& plan) const {
    ProbeResult result;
    result.micro_batch_size = plan.micro_batch_size;
    result.gradient_checkpointing = plan.gradient_checkpointing;
    const Bytes share = each / (1 + static_cast<Bytes>(plan.gradient_checkpointing));
    result.peak_bytes = fixed + share * plan.micro_batch_size;
    result.oom = cap > 0 && result.peak_bytes > cap;
    const auto size = static_cast<double>(plan.micro_batch_size);
    if (!result.oom) result.seconds_per_micro_batch = seconds_each * size;
    return result;
  }
};

JobSpec job(int64_t global_batch, int64_t steps = 4) {
  const std::string text = R"({"model": "llama-1m", "datasets": "a", "max_steps": )" +
                           std::to_string(steps) + R"(, "global_batch_size": )" +
                           std::to_string(global_batch) + "}";
  return parse_spec_json(text).value();
}

// What is measured, in order, while the clock runs as the device says.
std::vector<ProbeResult> search(const JobSpec& spec, const Machine& device, double& spent) {
  ProbeSearch search(spec, candidate_plans(spec, {}), device.cap);
  std::vector<ProbeResult> all;
  spent = 0;
  while (const auto plan = search.next(search.budget_seconds() - spent)) {
    all.push_back(device.measure(*plan));
    const double seconds = device.making + 2 * all.back().seconds_per_micro_batch;
    search.add(all.back(), seconds);
    spent += seconds;
    EXPECT_LT(all.size(), 50U);
  }
  return all;
}

int64_t largest_that_fits(const std::vector<ProbeResult>& results) {
  int64_t largest = 0;
  for (const ProbeResult& r : results) {
    if (!r.oom) largest = std::max(largest, r.micro_batch_size);
  }
  return largest;
}

TEST(ProbeSearch, EndsInItsTimeWithAnAnswerHoweverSlowTheDevice) {
  const JobSpec spec = job(64);
  for (const double seconds : {0.001, 0.1, 1.0, 3.0, 10.0}) {
    Machine device;
    device.seconds_each = seconds;
    double spent = 0;
    const auto results = search(spec, device, spent);
    ASSERT_FALSE(results.empty());
    EXPECT_GT(largest_that_fits(results), 0);
    const double first = device.making + 2 * seconds, run = seconds * 64 * 4;
    EXPECT_LE(spent, std::max({30.0, 0.05 * run, first})) << seconds;
  }
}

TEST(ProbeSearch, LongRunsBuyLongerProbes) {
  Machine device;
  device.seconds_each = 3;
  double spent = 0;
  EXPECT_LT(largest_that_fits(search(job(64, 4), device, spent)), 64);
  EXPECT_LE(spent, 0.05 * 4 * 64 * 3 + 1);
  EXPECT_EQ(largest_that_fits(search(job(64, 1'000), device, spent)), 64);
}

TEST(ProbeSearch, VerifiesTheLargestThatFitsWithoutTryingAll) {
  const JobSpec spec = job(64);
  Machine device;
  device.seconds_each = 0.01;
  device.fixed = candidate_plans(spec, {}).back().peak_bytes_predicted / 2;
  for (const int64_t fits : {1, 2, 8, 16, 32, 64}) {
    device.cap = device.fixed + device.each * fits;
    double spent = 0;
    const auto results = search(spec, device, spent);
    EXPECT_EQ(largest_that_fits(results), fits);
    EXPECT_LE(results.size(), 6U);
  }
}

TEST(ProbeSearch, CheckpointsOnlyWhereNothingElseFits) {
  const JobSpec spec = job(8);
  Machine device;
  device.cap = device.fixed + device.each / 2;  // one selective sequence
  double spent = 0;
  const auto results = search(spec, device, spent);
  EXPECT_TRUE(results.front().oom);
  EXPECT_EQ(results.back().gradient_checkpointing, Checkpointing::selective);
  EXPECT_FALSE(results.back().oom);
  device.cap = device.fixed;
  for (const ProbeResult& result : search(spec, device, spent)) EXPECT_TRUE(result.oom);
}

TEST(ProbeSearch, HalvesTheFieldWhereThePredictionIsWrong) {
  const JobSpec spec = job(1 << 12);
  Machine device;
  device.seconds_each = 1e-6;
  device.each = 1LL << 30;  // far more than predicted
  device.cap = device.fixed + device.each * 100;
  double spent = 0;
  const auto results = search(spec, device, spent);
  EXPECT_EQ(largest_that_fits(results), 64);
  EXPECT_LE(results.size(), 8U);
}

}  // namespace
}  // namespace llmctl
