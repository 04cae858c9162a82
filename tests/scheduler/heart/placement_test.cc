#include "scheduler/heart/placement.h"

#include <algorithm>

#include "scheduler/heart/explain.h"
#include "scheduler/heart/fit.h"
#include "tests/scheduler/heart/scene.h"

namespace llmctl {
namespace {

Job fitted(JobSpec spec, Bytes peak) {
  Job job;
  job.id = JobId{1};
  job.spec = std::move(spec);
  job.fitted = true;
  job.plan.peak_bytes_measured = peak;
  return job;
}

std::vector<Grant> placed(const Scene& scene, const Job& job) {
  const Placement placement = place(scene.state, job, scene.config);
  const auto* grants = std::get_if<std::vector<Grant>>(&placement);
  return grants == nullptr ? std::vector<Grant>() : *grants;
}

std::vector<Refusal> refused(const Scene& scene, const Job& job) {
  const Placement placement = place(scene.state, job, scene.config);
  const auto* refusals = std::get_if<std::vector<Refusal>>(&placement);
  return refusals == nullptr ? std::vector<Refusal>() : *refusals;
}

}  // namespace

TEST(Placement, GrantsMeasuredPeakAndHeadroom) {
  Scene scene;
  scene.hello("w1");
  const std::vector<Grant> grants = placed(scene, fitted(small_job(), 2 * kGiB));
  ASSERT_EQ(grants.size(), 1U);
  EXPECT_EQ(grants[0].bytes, with_headroom(2 * kGiB, scene.config));
}

TEST(Placement, PrefersTheTightestFitThenTheLowestId) {
  Scene scene;
  scene.hello("w1", cpu_box(8 * kGiB));
  const WorkerId tight = scene.hello("w2", cpu_box(4 * kGiB));
  scene.hello("w3", cpu_box(4 * kGiB));
  EXPECT_EQ(placed(scene, fitted(small_job(), 2 * kGiB))[0].worker, tight);
}

TEST(Placement, RefusesWorkerWhoseMemoryIsSmallerThanThePeakWithHeadroom) {
  Scene scene;
  const WorkerId worker = scene.hello("w1", cpu_box(4 * kGiB));
  const std::vector<Refusal> refusals = refused(scene, fitted(small_job(), 4 * kGiB));
  ASSERT_EQ(refusals.size(), 1U);
  EXPECT_EQ(refusals[0], (Refusal{worker, Refusal::Why::memory,
                                  with_headroom(4 * kGiB, scene.config), 4 * kGiB, true}));
}

TEST(Placement, SharesADeviceUntilItsBytesOrSlotsAreUsed) {
  Scene scene;
  scene.hello("w1", cpu_box(8 * kGiB, 2));
  scene.running();
  EXPECT_EQ(placed(scene, fitted(small_job(), kGiB)).size(), 1U);
  scene.running();
  const std::vector<Refusal> refusals = refused(scene, fitted(small_job(), kGiB));
  ASSERT_EQ(refusals.size(), 1U);
  EXPECT_EQ(refusals[0].why, Refusal::Why::slots);
  EXPECT_FALSE(refusals[0].for_ever);
}

TEST(Placement, AProbeNeedsTheWholeDevice) {
  Scene scene;
  scene.hello("w1");
  scene.running();
  Job probe = fitted(small_job(), 0);
  probe.fitted = false;
  EXPECT_TRUE(placed(scene, probe).empty());
  scene.hello("w2", cpu_box(8 * kGiB));
  ASSERT_EQ(placed(scene, probe).size(), 1U);
  EXPECT_EQ(placed(scene, probe)[0].bytes, 8 * kGiB);
}

TEST(Placement, AMemoryLimitOfTheJobCapsItsGrant) {
  Scene scene;
  scene.hello("w1");
  JobSpec modest = small_job();
  modest.resources.memory = 3 * kGiB;
  Job probe = fitted(modest, 0);
  probe.fitted = false;
  EXPECT_EQ(placed(scene, probe)[0].bytes, 3 * kGiB);
}

TEST(Placement, PutsAGangOnOneWorkerWhenOneIsEnough) {
  Scene scene;
  scene.hello("w1", cpu_box(8 * kGiB, 1));
  scene.hello("w2", cpu_box(8 * kGiB, 1));
  const WorkerId large = scene.hello("w3", cpu_box(8 * kGiB, 2));
  for (const Grant& grant : placed(scene, fitted(gang_job(2), kGiB))) {
    EXPECT_EQ(grant.worker, large);
  }
}

TEST(Placement, AGangGetsAllItsRanksOrNone) {
  Scene scene;
  scene.hello("w1", cpu_box(8 * kGiB, 1));
  scene.hello("w2", cpu_box(8 * kGiB, 2));
  EXPECT_EQ(placed(scene, fitted(gang_job(3), kGiB)).size(), 3U);
  EXPECT_TRUE(placed(scene, fitted(gang_job(4), kGiB)).empty());
}

TEST(Placement, RanksOfAGangNeverShareAGpu) {
  Scene scene;
  scene.hello("w1", gpu_box(2, 24 * kGiB));
  const std::vector<Grant> grants = placed(scene, fitted(gang_job(2), kGiB));
  ASSERT_EQ(grants.size(), 2U);
  EXPECT_NE(grants[0].device_index, grants[1].device_index);
  EXPECT_TRUE(placed(scene, fitted(gang_job(3), kGiB)).empty());
}

TEST(Placement, AutoMeansCudaWhereThereIsAny) {
  Scene scene;
  scene.hello("w1", cpu_box(8 * kGiB));
  EXPECT_EQ(placed(scene, fitted(small_job(), kGiB))[0].device_kind, "cpu");
  scene.hello("w2", gpu_box(1, 8 * kGiB));
  EXPECT_EQ(placed(scene, fitted(small_job(), kGiB))[0].device_kind, "cuda");
}

TEST(Placement, ADeviceNameMustBePartOfTheDevices) {
  Scene scene;
  const WorkerId worker = scene.hello("w1", gpu_box(1, 8 * kGiB));
  JobSpec spec = small_job();
  spec.resources.device_name = "4090";
  EXPECT_EQ(placed(scene, fitted(spec, kGiB)).size(), 1U);
  spec.resources.device_name = "H100";
  EXPECT_EQ(refused(scene, fitted(spec, kGiB)),
            (std::vector{Refusal{worker, Refusal::Why::no_such_device, 0, 0, true}}));
}

TEST(Placement, NamesWhatIsWrongWithEachWorker) {
  Scene scene;
  scene.hello("lost");
  scene.wait(60'000);
  scene.hello("draining");
  scene.give(DrainInput{"draining", true});
  const WorkerId away = scene.hello("away");
  scene.give(DisconnectInput{away, "first"});
  Inventory sick = cpu_box(8 * kGiB);
  sick.devices[0].healthy = false;
  scene.hello("sick", sick);
  Inventory foreign = cpu_box(8 * kGiB);
  foreign.devices[0].memory_foreign = 7 * kGiB;
  scene.hello("foreign", foreign);
  std::vector<Refusal::Why> why;
  for (const Refusal& refusal : refused(scene, fitted(small_job(), 2 * kGiB))) {
    why.push_back(refusal.why);
  }
  EXPECT_EQ(why,
            (std::vector{Refusal::Why::lost, Refusal::Why::draining, Refusal::Why::disconnected,
                         Refusal::Why::unhealthy, Refusal::Why::memory}));
}

TEST(Fit, ChoosesTheFastestPlanThatFitsTheCap) {
  Scene scene;
  JobSpec spec = small_job();
  const std::vector<ProbeResult> results = {{8, Checkpointing::none, false, {}, 6 * kGiB, 0.8},
                                            {4, Checkpointing::none, false, {}, 3 * kGiB, 0.3},
                                            {2, Checkpointing::none, false, {}, 2 * kGiB, 0.25},
                                            {1, Checkpointing::none, true, {}, kGiB, 0}};
  EXPECT_EQ(best_plan(spec, results, {8 * kGiB}, scene.config)->micro_batch_size, 4);
  EXPECT_EQ(best_plan(spec, results, {5 * kGiB / 2}, scene.config)->micro_batch_size, 2);
  EXPECT_FALSE(best_plan(spec, results, {kGiB}, scene.config));
}

TEST(Fit, ThePlanIsTheOneThatWasMeasured) {
  Scene scene;
  JobSpec spec = small_job();
  spec.save_steps = 10;  // a copy for checkpoints would fit
  std::vector<ProbeResult> results = {{4, Checkpointing::none, false, {}, kGiB, 0.5}};
  Plan plan = *best_plan(spec, results, {8 * kGiB}, scene.config);
  EXPECT_FALSE(plan.copy_checkpoints) << "measured without";
  results[0].pack_weights = results[0].copy_checkpoints = true;
  const Plan larger = *best_plan(spec, results, {8 * kGiB}, scene.config);
  EXPECT_TRUE(larger.copy_checkpoints && larger.pack_weights);
  EXPECT_GT(larger.peak_bytes_predicted, plan.peak_bytes_predicted);
  EXPECT_EQ(larger.peak_bytes_predicted, larger.predicted.total());
}

TEST(Fit, WhatAProbeFindsToFitIsGrantedWithHeadroom) {
  Scene scene;
  const WorkerId worker = scene.hello("w1", cpu_box(kGiB));
  scene.submit();
  scene.tick();
  const RunConfig config = desired_runs(scene.state, worker, scene.config).front().config;
  EXPECT_LT(config.memory_cap_bytes, kGiB);
  EXPECT_LE(with_headroom(config.memory_cap_bytes, scene.config), kGiB);
}

TEST(Fit, AProbeSaysWhatItMeasuresUntilItEnds) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.submit();
  scene.tick();
  Progressed told;
  told.phase = "probe: micro-batch 4, 1.0 GiB so far, 12 s left";
  told.step = 7;  // nonsense: a probe makes no steps of the job
  scene.report(id, 0, told);
  EXPECT_EQ(scene.job(id).progress.phase, told.phase);
  EXPECT_EQ(scene.job(id).progress.step, 0);
  const std::vector<std::string> evidence =
      explain(scene.state, scene.job(id), scene.config).evidence;
  EXPECT_NE(std::find(evidence.begin(), evidence.end(), "now: " + told.phase), evidence.end());
  scene.probe_ends(id);
  EXPECT_EQ(scene.job(id).progress.phase, "");
}

TEST(Fit, SpeedIsThatOfTheWholeGlobalBatch) {
  Scene scene;
  const std::vector<ProbeResult> results = {{4, Checkpointing::none, false, {}, kGiB, 0.5}};
  const auto plan = best_plan(small_job(), results, {8 * kGiB}, scene.config);
  ASSERT_TRUE(plan);
  EXPECT_DOUBLE_EQ(plan->seconds_per_step, 1.0);
  EXPECT_DOUBLE_EQ(plan->tokens_per_second, 8 * 64);
  EXPECT_EQ(plan->micro_batch_origin, Origin::measured);
}

// ---- jobs folders

Inventory box_with(const std::string& folder, int32_t slots = 4) {
  Inventory inventory = cpu_box(8 * kGiB, slots);
  inventory.jobs_folder = folder;
  return inventory;
}

TEST(Folder, AJobGoesOnOnlyWhereItsCheckpointsAre) {
  Scene scene;
  const WorkerId first = scene.hello("w1", box_with("a"));
  const JobId id = scene.running();
  scene.report(id, 0, checkpoint_at(10));
  EXPECT_EQ(scene.job(id).checkpoints[0].commit.folder, "a") << "as the worker's hello has it";
  const WorkerId elsewhere = scene.hello("w2", box_with("b"));
  for (int i = 0; i < 4; ++i) {  // w1 is silent, and lost
    scene.now += scene.config.lease_ms;
    scene.heartbeat(elsewhere, {});
    scene.tick();
  }
  ASSERT_TRUE(scene.state.workers.at(first).lost);
  EXPECT_EQ(scene.state_of(id), JobState::queued) << "it waits, and forgets nothing";
  EXPECT_EQ(scene.job(id).checkpoints.size(), 1U);
  const Explanation why = explain(scene.state, scene.job(id), scene.config);
  bool told = false;
  for (const std::string& line : why.evidence) told |= line.find("w1 (lost)") != line.npos;
  EXPECT_TRUE(told) << why.headline;
  const WorkerId shared = scene.hello("w3", box_with("a"));
  scene.tick();
  ASSERT_TRUE(scene.job(id).attempt);
  EXPECT_EQ(scene.job(id).attempt->grants[0].worker, shared);
}

// Else its ranks go on from different steps (LLaMA-Factory#655, detectron2#1732).
TEST(Folder, AGangRunsInOneFolder) {
  Scene scene;
  scene.hello("w1", box_with("a", 1));
  scene.hello("w2", box_with("b", 1));
  const Job gang = fitted(gang_job(2), kGiB);
  EXPECT_TRUE(placed(scene, gang).empty());
  const std::vector<Refusal> refusals = refused(scene, gang);
  ASSERT_FALSE(refusals.empty());
  EXPECT_EQ(refusals[0].have, 1) << "ranks that would find a place in one folder";
  const WorkerId third = scene.hello("w3", box_with("b", 1));
  const std::vector<Grant> grants = placed(scene, gang);
  ASSERT_EQ(grants.size(), 2U);
  EXPECT_EQ(grants[1].worker, third);
}

}  // namespace llmctl
