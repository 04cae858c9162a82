// A checkpoint written by an older llmctl is resumed from: formats outlive refactoring.
#include "tests/trainer/run/training_fixture.h"

namespace llmctl {
namespace {

const fs::path kOld = LLMCTL_SOURCE_DIR "/tests/fixtures/cluster-2026-11";

TEST_F(Training, GoesOnFromACheckpointOfAnOlderProgram) {
  RunConfig run = config("old", 12);
  auto old = load_checkpoint(kOld / "checkpoints/e2-s6");
  ASSERT_TRUE(old.ok()) << old.error().message;
  auto spec = parse_spec_json(old->state["spec"].dump());
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  run.spec = *spec;
  run.spec.datasets = {{kOld / "text.txt"}};
  run.plan = candidate_plans(run.spec, {}).front();
  fs::create_directories(fs::path(run.job_dir) / "checkpoints");
  fs::copy(old->path, fs::path(run.job_dir) / "checkpoints/e2-s6", fs::copy_options::recursive);
  run.epoch = 3;

  TrainerProcess process(run, run_directory());
  ASSERT_EQ(process.wait_exit(), 0);
  const auto steps = process.lines("step");
  ASSERT_FALSE(steps.empty());
  EXPECT_GT(steps.front()["step"], 6);  // and not from the first
  EXPECT_EQ(steps.back()["step"], 12);
  EXPECT_NEAR(steps.back()["loss"].get<double>(), 3.147, 2e-3);  // sums differ between processors
}

}  // namespace
}  // namespace llmctl
