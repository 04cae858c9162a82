// The trainer as a process on a real GPU. Without one every test here says why it skips.
#include "core/plan/memory_model.h"
#include "core/training/precision.h"
#include "tests/trainer/gpu_fixture.h"
#include "tests/trainer/run/training_fixture.h"

namespace llmctl {
namespace {

class GpuRun : public Training {
 protected:
  void SetUp() override {
    const Result<at::Device> opened = open_device("cuda");
    if (!opened.ok()) GTEST_SKIP() << opened.error().message;
    Training::SetUp();
  }
  RunConfig on_gpu(const std::string& job, int64_t steps) const {
    RunConfig run = config(job, steps);
    run.device = "cuda";
    run.spec.resources.device = "cuda";
    return run;
  }
  static std::vector<std::string> phases(const TrainerProcess& process) {
    std::vector<std::string> all;
    for (const nlohmann::json& line : process.lines("phase")) all.push_back(line.dump());
    return all;
  }
};

TEST_F(GpuRun, LearnsInEveryPrecisionWithAndWithoutAGraph) {
  for (const char* precision : {"fp32", "tf32", "bf16", "fp16"}) {
    for (const bool graphs : {false, true}) {
      RunConfig run = on_gpu(std::string(precision) + (graphs ? "-graph" : ""), 40);
      run.spec.precision = run.plan.precision = precision;
      run.spec.attention = run.plan.attention = has_weight_copy(precision) ? "flash" : "sdpa";
      run.spec.cuda_graphs = graphs;
      run.spec.learning_rate = 3e-3;
      run.spec.val_set_size = 0.1;
      run.spec.eval_steps = 10;  // the graph is captured again after each
      run.spec.sample_prompt = "loss ";
      TrainerProcess process(run, run_directory());
      ASSERT_EQ(process.wait_exit(), 0) << run.spec.name;
      EXPECT_EQ(process.lines("eval").size(), 4u);
      EXPECT_LT(process.lines("eval").back()["loss"], 4) << run.spec.name;
      EXPECT_EQ(process.lines("sample").size(), 1u);
      for (const std::string& phase : phases(process)) {
        EXPECT_EQ(phase.find("cuda_graphs: not used"), std::string::npos) << phase;
      }
    }
  }
}

TEST_F(GpuRun, KilledWithAGraphResumesBitForBit) {
  RunConfig run = on_gpu("killed", 40);
  run.spec.cuda_graphs = true;
  expect_same_bits_after_kills(run, {13, 31});
}

// Two candidates: what the first leaves behind is not in the way of the second.
TEST_F(GpuRun, ProbesUnderACap) {
  for (const bool graphs : {false, true}) {
    RunConfig run = on_gpu("probed", 40);
    run.mode = "probe";
    run.spec.cuda_graphs = graphs;
    run.spec.micro_batch_size.reset();
    run.candidates = candidate_plans(run.spec, {.on_cpu = false});
    run.memory_cap_bytes = gpu_process_bytes(1) + (256 << 20);
    ASSERT_GE(run.candidates.size(), 2u);
    TrainerProcess process(run, run_directory());
    ASSERT_EQ(process.wait_exit(), 0);
    const auto results = process.lines("probe");
    ASSERT_GE(results.size(), 2u);
    for (const nlohmann::json& result : results) {
      EXPECT_FALSE(result["oom"].get<bool>()) << result;
      EXPECT_LE(result["peak_bytes"].get<Bytes>(), run.memory_cap_bytes) << result;
    }
  }
}

TEST_F(GpuRun, RunsOutOfMemoryBelowWhatItNeeds) {
  RunConfig run = on_gpu("tight", 4);
  run.memory_cap_bytes = gpu_process_bytes(1) + (1 << 20);
  TrainerProcess process(run, run_directory());
  EXPECT_NE(process.wait_exit(), 0);
  EXPECT_EQ(process.lines().back()["outcome"], "oom");
}

}  // namespace
}  // namespace llmctl
