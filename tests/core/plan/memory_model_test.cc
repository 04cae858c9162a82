#include "core/plan/memory_model.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <limits>
#include <vector>

#include "core/base/limits.h"
#include "core/plan/plan_search.h"
#include "core/plan/switches.h"
#include "core/training/optimizer_facts.h"

namespace llmctl {
namespace {

JobSpec spec_of(const char* preset, int64_t global_batch, int64_t ranks) {
  const std::string text = std::string(R"({"model": ")") + preset +
                           R"(", "datasets": "a", "max_steps": 10, "global_batch_size": )" +
                           std::to_string(global_batch) + R"(, "resources": {"ranks": )" +
                           std::to_string(ranks) + "}}";
  return parse_spec_json(text).value();
}

constexpr std::array kAll = {Checkpointing::none, Checkpointing::selective, Checkpointing::block};

FitQuestion question(const char* preset, int64_t micro, Checkpointing checkpointing) {
  const JobSpec spec = spec_of(preset, 64, 1);
  return {.model = spec.model.config,
          .sequence_len = 256,
          .micro_batch_size = micro,
          .gradient_checkpointing = checkpointing};
}

TEST(MemoryModel, WeightsGradientsAndAdamStateAreFourFourAndEightBytesEach) {
  const FitQuestion q = question("llama-5m", 4, Checkpointing::none);
  const int64_t parameters = parameter_count(q.model);
  const MemoryByCause memory = predict_memory(q);
  EXPECT_EQ(memory.parameters, 4 * parameters);
  EXPECT_EQ(memory.gradients, 4 * parameters);
  EXPECT_EQ(memory.optimizer, 8 * parameters);
}

TEST(MemoryModel, PeakGrowsWithTheMicroBatch) {
  for (const Preset& preset : presets()) {
    for (const Checkpointing checkpointing : kAll) {
      Bytes before = 0;
      for (int64_t micro = 1; micro <= 256; micro *= 2) {
        const Bytes peak = predict_memory(question(preset.name, micro, checkpointing)).total();
        EXPECT_GT(peak, before) << preset.name << " micro " << micro;
        before = peak;
      }
    }
  }
}

TEST(MemoryModel, PeakIsAffineInTokensOnceTheLossIsNotThePeak) {
  for (const Preset& preset : presets()) {
    const auto peak = [&](int64_t micro) {
      return predict_memory(question(preset.name, micro, Checkpointing::none)).total();
    };
    EXPECT_NEAR(static_cast<double>(peak(128) - peak(96)), static_cast<double>(peak(96) - peak(64)),
                16)
        << preset.name;
  }
}

TEST(MemoryModel, MoreCheckpointingIsNeverLarger) {
  for (const Preset& preset : presets()) {
    for (int64_t micro : {1, 3, 8, 64}) {
      Bytes before = std::numeric_limits<Bytes>::max();
      for (const Checkpointing checkpointing : kAll) {
        const Bytes peak = predict_memory(question(preset.name, micro, checkpointing)).total();
        EXPECT_LE(peak, before) << preset.name << " micro " << micro;
        before = peak;
      }
    }
  }
}

TEST(MemoryModel, WholeScoresCostMoreThanFusedAttention) {
  FitQuestion q = question("llama-5m", 4, Checkpointing::none);
  const Bytes fused = predict_memory(q).total();
  q.attention = "manual";
  EXPECT_GT(predict_memory(q).total(), fused);
}

FitQuestion on_gpu(const char* preset,
                   const char* offload,
                   Checkpointing checkpointing = Checkpointing::none) {
  FitQuestion q = question(preset, 16, checkpointing);
  q.on_cpu = false;
  q.offload = offload;
  return q;
}

TEST(MemoryModel, OffloadedStateIsOnAGpuOnlyInPieces) {
  for (const OptimizerFacts& facts : optimizers()) {
    FitQuestion resident = on_gpu("llama-1b", "none"), offloaded = on_gpu("llama-1b", "optimizer");
    resident.optimizer = offloaded.optimizer = facts.name;
    resident.averaged = offloaded.averaged = true;
    const Bytes state = predict_memory(resident).optimizer;
    const OptimizerMemory memory = optimizer_memory(facts.name, resident.model, true);
    EXPECT_EQ(state, memory.state);
    EXPECT_LT(memory.staged, state / 8) << facts.name;
    EXPECT_LE(predict_memory(offloaded).optimizer, memory.staged) << facts.name;
    EXPECT_LT(predict_memory(offloaded).total(), predict_memory(resident).total()) << facts.name;
  }
}

TEST(MemoryModel, OffloadedBlocksCostAGpuTwoOfThem) {
  for (const Checkpointing checkpointing : kAll) {
    const FitQuestion deep = on_gpu("llama-1b", "activations", checkpointing);
    FitQuestion two_layers = deep;
    two_layers.model.num_hidden_layers = 2;
    EXPECT_EQ(predict_memory(deep).activations, predict_memory(two_layers).activations);
    EXPECT_LT(predict_memory(deep).total(),
              predict_memory(on_gpu("llama-1b", "none", checkpointing)).total());
  }
}

TEST(MemoryModel, OffloadSavesNothingOnACpu) {
  for (const char* offload : {"optimizer", "activations", "all"}) {
    FitQuestion q = question("llama-5m", 16, Checkpointing::none);
    const Bytes resident = predict_memory(q).total();
    q.offload = offload;
    EXPECT_GE(predict_memory(q).total(), resident) << offload;
  }
}

TEST(MemoryModel, ChunksOfTheLossAreAsLargeAsTheDeviceLikes) {
  constexpr int64_t kTokens = 8'192;
  EXPECT_EQ(loss_chunk_tokens(32'000, kTokens, /*on_cpu=*/true), 512);
  EXPECT_EQ(loss_chunk_tokens(32'000, kTokens, /*on_cpu=*/false), 4'096);
  EXPECT_EQ(loss_chunk_tokens(128'256, kTokens, /*on_cpu=*/false), 1'024);
  EXPECT_EQ(loss_chunk_tokens(1 << 20, kTokens, /*on_cpu=*/false), 512);
  EXPECT_EQ(loss_chunk_tokens(32'000, 100, /*on_cpu=*/false), 100);
}

// A chunk of logits in fp32, and where products are of 16 bits its gradient as they want it.
TEST(MemoryModel, TheLossOfAGpuHoldsAChunkAndItsRoundedGradient) {
  FitQuestion q = question("llama-5m", 8, Checkpointing::block);
  q.on_cpu = false;
  q.model.vocab_size = 128'256;
  const Bytes chunk =
      4 * q.model.vocab_size * loss_chunk_tokens(q.model.vocab_size, 8 * 256, false);
  EXPECT_EQ(predict_memory(q).logits, chunk);
  q.precision = "bf16";
  EXPECT_EQ(predict_memory(q).logits, chunk + chunk / 2);
}

TEST(MemoryModel, AGpuHoldsItsProcessBesideTheTensors) {
  JobSpec spec = spec_of("llama-5m", 8, 1);
  Plan plan = candidate_plans(spec, {}).front();
  const Bytes on_cpu = predict_memory(spec, plan).workspace;
  plan.on_cpu = false;
  const Bytes alone = predict_memory(spec, plan).workspace;
  EXPECT_GE(alone, gpu_process_bytes(1));
  EXPECT_LT(on_cpu, gpu_process_bytes(1));
  spec.resources.ranks = 2;  // NCCL's buffers, too
  EXPECT_EQ(predict_memory(spec, plan).workspace - alone,
            gpu_process_bytes(2) - gpu_process_bytes(1));
  EXPECT_GT(gpu_process_bytes(2), gpu_process_bytes(1));
}

TEST(MemoryModel, LargestShapesDoNotOverflow) {
  FitQuestion q = question("llama-1b", 1 << 20, Checkpointing::none);
  q.model.hidden_size = limits::kHiddenSize;
  q.model.num_hidden_layers = limits::kLayers;
  q.model.intermediate_size = 16 * limits::kHiddenSize;
  q.sequence_len = limits::kSequenceLen;
  EXPECT_GT(predict_memory(q).total(), 0);
}

TEST(MemoryModel, CopiesForCheckpointsOnlyWhereTheyFit) {
  JobSpec spec = spec_of("llama-1m", 8, 1);
  const Plan without = candidate_plans(spec, {}).front();
  EXPECT_EQ(checkpoint_copy_bytes(spec), 0) << "nothing is saved on the way";
  spec.save_steps = 10;
  const Bytes copy = checkpoint_copy_bytes(spec);
  EXPECT_EQ(copy, 12 * parameter_count(spec.model.config));
  EXPECT_EQ(candidate_plans(spec, {}).front().predicted.workspace,
            without.predicted.workspace + copy);
  const Bytes whole = without.predicted.total() + copy;
  EXPECT_TRUE(candidate_plans(spec, {whole}).front().copy_checkpoints);
  EXPECT_FALSE(candidate_plans(spec, {whole - 1}).front().copy_checkpoints);
  const SearchRoom gpu = {0, /*on_cpu=*/false};
  const Bytes copied = candidate_plans(spec, gpu).front().predicted.workspace;
  spec.async_checkpoints = false;
  EXPECT_EQ(checkpoint_copy_bytes(spec), 0);
  EXPECT_EQ(candidate_plans(spec, gpu).front().predicted.workspace, copied) << "in host memory";
}

TEST(MemoryModel, PacksWeightsOfShortPassesWhereTheyFit) {
  JobSpec spec = spec_of("llama-1m", 8, 1);
  spec.sequence_len = 64;
  spec.micro_batch_size = 8;
  const Plan one_pass = candidate_plans(spec, {}).front();
  EXPECT_EQ(packed_weight_bytes(spec, one_pass), 0);
  spec.micro_batch_size = 2;
  const Plan plan = candidate_plans(spec, {}).front();
  const Bytes packed = packed_weight_bytes(spec, plan);
  const Bytes rest = plan.predicted.total() - packed;
  const Bytes all = 8 * parameter_count(spec.model.config);
  EXPECT_LT(packed, all);
  EXPECT_GT(packed, all * 99 / 100) << "all but the norms' vectors, twice";
  EXPECT_TRUE(plan.pack_weights);
  EXPECT_TRUE(candidate_plans(spec, {rest + packed}).front().pack_weights);
  EXPECT_FALSE(candidate_plans(spec, {rest + packed - 1}).front().pack_weights);
  EXPECT_EQ(candidate_plans(spec, {rest + packed - 1}).front().predicted.total(), rest);
  EXPECT_FALSE(candidate_plans(spec, {0, /*on_cpu=*/false}).front().pack_weights);
  for (const auto& change : std::vector<std::function<void(JobSpec&)>>{
           [](JobSpec& s) { s.pack_weights = false; }, [](JobSpec& s) { s.precision = "bf16"; },
           [](JobSpec& s) { s.sequence_len = 128; }}) {
    JobSpec other = spec;
    change(other);
    EXPECT_FALSE(candidate_plans(other, {}).front().pack_weights);
  }
  spec.sequence_len = 128;  // too long to be worth it, but the user may think otherwise
  spec.pack_weights = true;
  EXPECT_TRUE(candidate_plans(spec, {}).front().pack_weights);
}

// What is predicted of a plan is all that its run allocates, whichever device `auto` has become.
TEST(Candidates, PredictWhatTheirOwnChoicesTake) {
  for (const char* device : {"auto", "cpu"}) {
    JobSpec spec = spec_of("llama-1m", 8, 1);
    spec.resources.device = device;
    spec.micro_batch_size = 2;
    spec.pack_weights = true;
    spec.save_steps = 10;
    const Plan plan = candidate_plans(spec, {}).front();
    Plan bare = plan;
    bare.pack_weights = bare.copy_checkpoints = false;
    EXPECT_EQ(plan.peak_bytes_predicted, predict_memory(spec, bare).total() +
                                             packed_weight_bytes(spec, plan) +
                                             checkpoint_copy_bytes(spec))
        << device;
  }
}

TEST(Switches, TellWhatPackedWeightsCost) {
  JobSpec spec = spec_of("llama-1m", 8, 1);
  spec.micro_batch_size = 2;
  const auto rows = [&] {
    std::vector<Switch> found;
    for (const Switch& one : switches(spec, candidate_plans(spec, {}).front())) {
      if (one.field == "pack_weights") found.push_back(one);
    }
    return found;
  };
  const Bytes packed = packed_weight_bytes(spec, candidate_plans(spec, {}).front());
  for (const bool on : {true, false}) {
    spec.pack_weights = on;
    const std::vector<Switch> found = rows();
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[1].peak_bytes - found[0].peak_bytes, packed);
    EXPECT_EQ(found[on ? 1 : 0].peak_bytes, candidate_plans(spec, {}).front().peak_bytes_predicted);
    EXPECT_TRUE(found[on ? 1 : 0].chosen && !found[on ? 0 : 1].chosen);
  }
  spec.micro_batch_size = 8;
  EXPECT_TRUE(rows().empty()) << "one pass";
}

TEST(Candidates, DivideTheBatchAndKeepIt) {
  for (int64_t ranks : {1, 2, 3}) {
    const JobSpec spec = spec_of("llama-1m", 24 * ranks, ranks);
    for (const Plan& plan : candidate_plans(spec, {})) {
      EXPECT_EQ(plan.micro_batch_size * plan.gradient_accumulation_steps * ranks,
                spec.global_batch_size);
      EXPECT_EQ(plan.peak_bytes_predicted, plan.predicted.total());
    }
  }
}

TEST(Candidates, ComeWithoutCheckpointingFirstAndFromLargeToSmall) {
  const std::vector<Plan> plans = candidate_plans(spec_of("llama-1m", 8, 1), {});
  ASSERT_EQ(plans.size(), 12U);
  EXPECT_EQ(plans[0].micro_batch_size, 8);
  EXPECT_EQ(plans[3].micro_batch_size, 1);
  EXPECT_EQ(plans[3].gradient_checkpointing, Checkpointing::none);
  EXPECT_EQ(plans[4].gradient_checkpointing, Checkpointing::selective);
  EXPECT_EQ(plans[8].gradient_checkpointing, Checkpointing::block);
}

TEST(Candidates, KeepWhatTheUserWrote) {
  JobSpec spec = spec_of("llama-1m", 8, 1);
  spec.micro_batch_size = 2;
  spec.gradient_checkpointing = "block";
  const std::vector<Plan> plans = candidate_plans(spec, {});
  ASSERT_EQ(plans.size(), 1U);
  EXPECT_EQ(plans[0].micro_batch_origin, Origin::given);
  EXPECT_EQ(plans[0].checkpointing_origin, Origin::given);
}

TEST(Candidates, OnlyTheSmallestIsLeftWhenNothingFits) {
  const JobSpec spec = spec_of("llama-5m", 64, 1);
  const std::vector<Plan> plans = candidate_plans(spec, {1});
  ASSERT_EQ(plans.size(), 1U);
  EXPECT_EQ(plans[0].micro_batch_size, 1);
  EXPECT_EQ(plans[0].gradient_checkpointing, Checkpointing::block);
}

TEST(Candidates, AreAtMostWhatAProbeTries) {
  EXPECT_EQ(candidate_plans(spec_of("llama-1m", 720'720, 1), {}).size(),
            static_cast<size_t>(limits::kProbeCandidates));
}

TEST(Ladder, StepsDownToTheSmallestPlanAndEnds) {
  const JobSpec spec = spec_of("llama-1m", 48, 1);
  std::optional<Plan> plan = candidate_plans(spec, {}).front();
  Plan last = *plan;
  int64_t steps = 0;
  while ((plan = smaller_plan(spec, *plan))) {
    EXPECT_LT(plan->peak_bytes_predicted, last.peak_bytes_predicted);
    EXPECT_EQ(plan->micro_batch_size * plan->gradient_accumulation_steps, spec.global_batch_size);
    EXPECT_EQ(plan->oom_refits, ++steps);
    last = *plan;
  }
  EXPECT_EQ(last.micro_batch_size, 1);
  EXPECT_EQ(last.gradient_checkpointing, Checkpointing::block);
}

TEST(Ladder, EveryStepDownNeedsLess) {
  for (const Preset& preset : presets()) {
    for (const int64_t batch : {2, 4, 8}) {
      JobSpec spec = spec_of(preset.name, batch, 1);
      spec.resources.device = "cpu";
      std::optional<Plan> plan = candidate_plans(spec, {}).front();
      while (const auto next = smaller_plan(spec, *plan)) {
        EXPECT_LT(next->peak_bytes_predicted, plan->peak_bytes_predicted) << preset.name;
        plan = next;
      }
    }
  }
}

TEST(Ladder, EndsAtOnceWhenTheUserFixedEverything) {
  JobSpec spec = spec_of("llama-1m", 8, 1);
  spec.micro_batch_size = 8;
  spec.gradient_checkpointing = "none";
  EXPECT_FALSE(smaller_plan(spec, candidate_plans(spec, {}).front()).has_value());
}

TEST(ProfileKey, ChangesWithWhatDecidesMemoryAndWithNothingElse) {
  const JobSpec spec = spec_of("llama-1m", 8, 1);
  JobSpec other = spec;
  other.name = "another";
  other.learning_rate = 1;
  other.max_steps = 99;
  other.seed = 7;
  EXPECT_EQ(profile_key(spec, "cpu"), profile_key(other, "cpu"));
  other.sequence_len = 128;
  EXPECT_NE(profile_key(spec, "cpu"), profile_key(other, "cpu"));
  EXPECT_NE(profile_key(spec, "cpu"), profile_key(spec, "cuda"));
}

}  // namespace
}  // namespace llmctl
