#include "trainer/run/probe.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/plan/plan_search.h"
#include "trainer/device/device_memory.h"

namespace llmctl {
namespace {

RunConfig config_with_candidates() {
  RunConfig config;
  config.mode = "probe";
  JobSpec& spec = config.spec;
  spec.model.config.vocab_size = 257;
  spec.model.config.hidden_size = 64;
  spec.model.config.num_hidden_layers = 4;
  spec.model.config.num_attention_heads = 4;
  spec.model.config = resolved(spec.model.config, 0, 64);
  spec.sequence_len = 64;
  spec.global_batch_size = 32;
  config.candidates = candidate_plans(spec, {});
  return config;
}

class Probe : public ::testing::Test {
 protected:
  static std::vector<ProbeResult> run(RunConfig config, Bytes cap) {
    config.memory_cap_bytes = cap;
    device_memory::release_kept_blocks();
    device_memory::set_cap(cap == 0 ? 0 : device_memory::live_bytes() + cap);
    int told = 0;
    std::string phase;
    auto results = probe(
        config, at::kCPU,
        {[&](const std::string& text) { phase = text; }, [&](const ProbeResult&) { ++told; }});
    device_memory::set_cap(0);
    EXPECT_TRUE(phase.starts_with("probe: micro-batch ")) << phase;
    EXPECT_TRUE(phase.ends_with(" s left")) << phase;
    EXPECT_EQ(told, static_cast<int>(results.size()));
    return results;
  }
};

TEST_F(Probe, FindsTheLargestMicroBatchUnderACap) {
  RunConfig config = config_with_candidates();
  config.spec.gradient_checkpointing = "none";
  config.candidates = candidate_plans(config.spec, {});
  const auto free = run(config, 0);
  ASSERT_EQ(free.size(), 3U) << "the smallest, the largest and the next smaller one";
  EXPECT_EQ(free[0].micro_batch_size, 1);
  EXPECT_EQ(free[1].micro_batch_size, 32);
  EXPECT_EQ(free[2].micro_batch_size, 16);
  for (const ProbeResult& result : free) {
    EXPECT_FALSE(result.oom);
    EXPECT_GT(result.seconds_per_micro_batch, 0);
    EXPECT_EQ(result.memory.total(), result.peak_bytes);
  }
  EXPECT_LT(free[2].peak_bytes, free[1].peak_bytes);

  int64_t largest = 0;
  for (const ProbeResult& result : run(config, (free[1].peak_bytes + free[2].peak_bytes) / 2)) {
    if (!result.oom) largest = std::max(largest, result.micro_batch_size);
  }
  EXPECT_EQ(largest, 16);
}

TEST_F(Probe, MeasuresTheSameWhateverWasTriedBefore) {
  RunConfig config = config_with_candidates();
  const auto all = run(config, 0);
  ASSERT_GE(all.size(), 2u);
  std::erase_if(config.candidates,
                [&](const Plan& plan) { return plan.micro_batch_size != all[1].micro_batch_size; });
  EXPECT_EQ(run(config, 0)[0].memory, all[1].memory);
}

TEST_F(Probe, TriesCheckpointingOnlyWhenNothingElseFits) {
  RunConfig config = config_with_candidates();
  for (const ProbeResult& result : run(config, 0)) {
    EXPECT_EQ(result.gradient_checkpointing, Checkpointing::none);
  }
  config.candidates = candidate_plans(config.spec, {4 << 20});
  const auto tight = run(config, 4 << 20);
  ASSERT_FALSE(tight.empty());
  EXPECT_TRUE(tight.back().oom || tight.back().gradient_checkpointing != Checkpointing::none ||
              tight.back().micro_batch_size < 32);
}

}  // namespace
}  // namespace llmctl
