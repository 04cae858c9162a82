// The life of a job: from submission to its end, with failures on the way.
#include <limits>

#include "core/base/limits.h"
#include "scheduler/heart/explain.h"
#include "tests/scheduler/heart/scene.h"

namespace llmctl {

TEST(Lifecycle, AJobOfAnotherVersionThatIsNotUnderstoodFailsByItself) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.submit();
  Event event;
  event.seq = Seq{scene.state.last_seq.value + 1};
  event.job = JobId{id.value + 1};
  event.body = JobSubmitted{SharedSpec::stored(R"({"name": "strange"})"), "", {}, {}};
  apply(scene.state, event);
  scene.tick();
  EXPECT_EQ(scene.last_move[event.job].to, JobState::failed);
  EXPECT_EQ(scene.last_move[event.job].reason, Reason::not_understood);
  EXPECT_NE(scene.last_move[event.job].detail, "");
  EXPECT_EQ(scene.state_of(id), JobState::probing);
}

TEST(Lifecycle, AProbeThatReportsNonsenseLeavesNoProfile) {
  for (const Bytes peak : {std::numeric_limits<Bytes>::max(), Bytes{0}, Bytes{-5}}) {
    Scene scene;
    const WorkerId worker = scene.hello("w1");
    const JobId id = scene.submit();
    scene.tick();
    std::vector<RunStatus> runs = scene.runs_on(worker);
    runs.at(0).phase = RunStatus::Phase::ended;
    runs[0].probes.push_back({.micro_batch_size = 1, .memory = {}, .peak_bytes = peak});
    scene.heartbeat(worker, runs);
    EXPECT_EQ(scene.state_of(id), JobState::recovering);
    EXPECT_NE(scene.last_move[id].detail.find("reports a peak"), std::string::npos);
    EXPECT_TRUE(scene.state.profiles.empty());
  }
}

TEST(Lifecycle, StepsBeyondTheLastAreNotBelieved) {
  Scene scene;
  const WorkerId worker = scene.hello("w1");
  JobSpec spec = small_job();
  spec.max_steps = 100;
  const JobId id = scene.running(spec);
  Progressed far;
  far.step = 1'000'000;
  EXPECT_TRUE(scene.give(ReportInput{worker, id, scene.job(id).epoch, 0, far}).events.empty());
  EXPECT_TRUE(scene.give(ReportInput{worker, id, scene.job(id).epoch, 0, checkpoint_at(101)})
                  .events.empty());
  EXPECT_FALSE(scene.give(ReportInput{worker, id, scene.job(id).epoch, 0, checkpoint_at(100)})
                   .events.empty());
}

TEST(Lifecycle, AJobIsProbedThenPlacedThenRunsThenSucceeds) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.submit();
  EXPECT_EQ(scene.state_of(id), JobState::queued);
  scene.tick();
  EXPECT_EQ(scene.state_of(id), JobState::probing);
  scene.probe_ends(id);
  EXPECT_EQ(scene.state_of(id), JobState::queued);
  EXPECT_TRUE(scene.job(id).fitted);
  scene.tick();
  EXPECT_EQ(scene.state_of(id), JobState::starting);
  EXPECT_EQ(scene.job(id).epoch, Epoch{2});
  scene.all_up(id);
  EXPECT_EQ(scene.state_of(id), JobState::running);
  scene.ends(id, 0, Outcome::done);
  EXPECT_EQ(scene.state_of(id), JobState::succeeded);
  EXPECT_FALSE(scene.live(id));
  EXPECT_EQ(scene.promised_ranks(), 0);
}

TEST(Lifecycle, ARankThatEndsBeforeItIsSeenUpStillSucceeds) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.submit();
  scene.tick();
  scene.probe_ends(id);
  scene.tick();
  scene.ends(id, 0, Outcome::done);
  EXPECT_EQ(scene.state_of(id), JobState::succeeded);
}

TEST(Lifecycle, ACrashIsTriedAgainAfterABackoffThatDoubles) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.running();
  for (const Millis backoff : {1'000, 2'000, 4'000}) {
    scene.ends(id, 0, Outcome::crashed);
    EXPECT_EQ(scene.state_of(id), JobState::recovering);
    EXPECT_EQ(scene.last_move[id].backoff_ms, backoff);
    scene.wait(backoff - 1);
    EXPECT_EQ(scene.state_of(id), JobState::recovering);
    scene.wait(1);
    scene.all_up(id);
  }
  EXPECT_EQ(scene.job(id).restarts, 3);
}

TEST(Lifecycle, AJobFailsWhenItsRestartsAreUsedUp) {
  Scene scene;
  scene.hello("w1");
  JobSpec spec = small_job();
  spec.retry.max_restarts = 1;
  const JobId id = scene.running(spec);
  scene.ends(id, 0, Outcome::hang);
  scene.wait(1'000);
  scene.ends(id, 0, Outcome::crashed);
  EXPECT_EQ(scene.state_of(id), JobState::failed);
  EXPECT_EQ(scene.last_move[id].reason, Reason::retries_exhausted);
}

TEST(Lifecycle, WhatCannotGetBetterFailsAtOnce) {
  for (const auto& [outcome, reason] : {std::pair{Outcome::nonfinite, Reason::nonfinite},
                                        {Outcome::bad_input, Reason::bad_input},
                                        {Outcome::checkpoint_lost, Reason::checkpoint_lost}}) {
    Scene scene;
    scene.hello("w1");
    const JobId id = scene.running();
    scene.ends(id, 0, outcome);
    EXPECT_EQ(scene.state_of(id), JobState::failed);
    EXPECT_EQ(scene.last_move[id].reason, reason);
  }
}

TEST(Lifecycle, AFullDiskIsTriedAgain) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.running();
  scene.ends(id, 0, Outcome::storage_full);
  EXPECT_EQ(scene.state_of(id), JobState::recovering);
  EXPECT_EQ(scene.job(id).reason, Reason::storage_full);
}

// Five spawns on a full disk took a job 48 seconds to fail.
TEST(Lifecycle, AFullDiskHoldsItsWorkerBackAndChargesNoRestart) {
  Scene scene;
  const WorkerId full = scene.hello("w1");
  const JobId id = scene.running();
  const WorkerId other = scene.hello("w2");
  scene.ends(id, 0, Outcome::storage_full);
  EXPECT_EQ(scene.job(id).restarts, 0);
  scene.keep_alive(2'000);
  ASSERT_TRUE(scene.job(id).attempt);
  EXPECT_EQ(scene.job(id).attempt->grants[0].worker, other);
  scene.ends(id, 0, Outcome::storage_full);
  scene.keep_alive(2'000);
  EXPECT_FALSE(scene.job(id).attempt) << "both are held back";
  const Explanation why = explain(scene.state, scene.job(id), scene.config);
  EXPECT_NE(why.headline.find("takes nothing new"), std::string::npos) << why.headline;
  EXPECT_TRUE(scene.state.index.held.contains(full));
  for (int i = 0; i < 20 && !scene.job(id).attempt; ++i) scene.keep_alive(limits::kWorkerHold / 4);
  EXPECT_TRUE(scene.job(id).attempt) << "it is tried again";
  EXPECT_EQ(scene.job(id).restarts, 0);
}

// The order cannot be followed there, and nobody says so.
TEST(Lifecycle, ARankThatItsWorkerNeverNamesIsGivenUp) {
  Scene scene;
  const WorkerId worker = scene.hello("w1");
  const JobId id = scene.submit();
  scene.tick();
  ASSERT_EQ(scene.state_of(id), JobState::probing);
  const Millis patience = 2 * (scene.config.lease_ms + scene.config.grace_ms);
  for (Millis passed = 0; passed <= patience; passed += 5'000) {
    EXPECT_EQ(scene.state_of(id), JobState::probing);
    scene.now += 5'000;
    scene.heartbeat(worker, {});
  }
  EXPECT_EQ(scene.state_of(id), JobState::recovering);
  EXPECT_NE(scene.job(id).detail.find("never said"), std::string::npos) << scene.job(id).detail;
}

TEST(Lifecycle, OutOfMemoryMeansASmallerPlanAndNoRestart) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.running();
  const Plan before = scene.job(id).plan;
  scene.ends(id, 0, Outcome::oom);
  EXPECT_EQ(scene.job(id).restarts, 0);
  EXPECT_LT(scene.job(id).plan.micro_batch_size, before.micro_batch_size);
  EXPECT_EQ(scene.job(id).plan.oom_refits, 1);
  scene.tick();
  scene.tick();
  EXPECT_EQ(scene.state_of(id), JobState::starting);
}

TEST(Lifecycle, OutOfMemoryWithAGivenPlanAsksForMoreMemory) {
  Scene scene;
  scene.hello("w1");
  JobSpec spec = small_job();
  spec.micro_batch_size = 8;
  spec.gradient_checkpointing = "block";
  const JobId id = scene.running(spec);
  const Bytes before = scene.job(id).attempt->grants.front().bytes;
  scene.ends(id, 0, Outcome::oom);
  scene.tick();
  scene.tick();
  ASSERT_EQ(scene.state_of(id), JobState::starting);
  EXPECT_GT(scene.job(id).attempt->grants.front().bytes, before);
}

TEST(Lifecycle, OutOfMemoryFailsAJobThatWantsNoRefit) {
  Scene scene;
  scene.hello("w1");
  JobSpec spec = small_job();
  spec.retry.on_oom = false;
  const JobId id = scene.running(spec);
  scene.ends(id, 0, Outcome::oom);
  EXPECT_EQ(scene.state_of(id), JobState::failed);
  EXPECT_EQ(scene.last_move[id].reason, Reason::oom);
}

TEST(Lifecycle, OutOfMemoryEndsAfterAFixedNumberOfRefits) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.running();
  int ooms = 0;
  while (scene.live(id) && ooms < 100) {
    scene.ends(id, 0, Outcome::oom);
    ++ooms;
    scene.tick();
    scene.tick();
  }
  EXPECT_EQ(scene.state_of(id), JobState::failed);
  EXPECT_LE(ooms, limits::kOomRefits + 1);
}

TEST(Lifecycle, TheProfileLearnsWhatARunCouldNotHold) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.running();
  const Plan failed = scene.job(id).plan;
  scene.ends(id, 0, Outcome::oom);
  ASSERT_EQ(scene.state.profiles.size(), 1U);
  for (const ProbeResult& result : scene.state.profiles.begin()->second.results) {
    const bool same = result.micro_batch_size == failed.micro_batch_size &&
                      result.gradient_checkpointing == failed.gradient_checkpointing;
    EXPECT_EQ(result.oom, same);
  }
}

TEST(Lifecycle, AProbeThatCrashesCountsAsARestart) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.submit();
  scene.tick();
  scene.ends(id, 0, Outcome::crashed);
  EXPECT_EQ(scene.state_of(id), JobState::recovering);
  EXPECT_EQ(scene.job(id).restarts, 1);
  scene.wait(1'000);
  EXPECT_EQ(scene.state_of(id), JobState::probing);
}

TEST(Lifecycle, AJobThatFitsNowhereFailsWithNumbers) {
  Scene scene;
  const WorkerId worker = scene.hello("w1");
  const JobId id = scene.submit();
  scene.tick();
  RunStatus run = scene.run(id, 0);
  run.phase = RunStatus::Phase::ended;
  run.probes = {ProbeResult{8, Checkpointing::none, true, {}, 9 * kGiB, 0}};
  scene.heartbeat(worker, {run});
  EXPECT_EQ(scene.state_of(id), JobState::failed);
  EXPECT_EQ(scene.last_move[id].reason, Reason::does_not_fit);
  EXPECT_NE(scene.last_move[id].detail.find("9.0 GiB"), std::string::npos);
}

// The cap was below the first tensor.
TEST(Lifecycle, AProbeThatRunsOutAtOnceIsNoNonsense) {
  Scene scene;
  const WorkerId worker = scene.hello("w1");
  const JobId id = scene.submit();
  scene.tick();
  RunStatus run = scene.run(id, 0);
  run.phase = RunStatus::Phase::ended;
  run.outcome = Outcome::oom;
  run.probes = {ProbeResult{8, Checkpointing::none, true, {}, 0, 0}};
  scene.heartbeat(worker, {run});
  EXPECT_EQ(scene.state_of(id), JobState::failed);
  EXPECT_EQ(scene.last_move[id].reason, Reason::does_not_fit);
  EXPECT_NE(scene.last_move[id].detail.find("needs more than 8.0 GiB"), std::string::npos)
      << scene.last_move[id].detail;
}

TEST(Lifecycle, ADeviceThatIsTooSmallSendsTheProbeToOneWithMore) {
  Scene scene;
  Inventory busy = gpu_box(1, 24 * kGiB);
  busy.devices[0].memory_foreign = 20 * kGiB;  // somebody else's process, for now
  const WorkerId large = scene.hello("w1", busy);
  const WorkerId small = scene.hello("w2", gpu_box(1, 8 * kGiB));
  const JobId id = scene.submit();
  scene.tick();
  ASSERT_EQ(scene.job(id).attempt->grants[0].worker, large);
  const auto all_run_out = [&](WorkerId worker, Bytes peak) {
    RunStatus run = scene.run(id, 0);
    run.phase = RunStatus::Phase::ended;
    run.probes = {ProbeResult{8, Checkpointing::none, true, {}, peak, 0}};
    scene.heartbeat(worker, {run});
    scene.tick();
  };
  all_run_out(large, 5 * kGiB);
  ASSERT_TRUE(scene.job(id).attempt);
  EXPECT_EQ(scene.job(id).attempt->grants[0].worker, small);
  all_run_out(small, 9 * kGiB);
  EXPECT_EQ(scene.state_of(id), JobState::queued) << "24 GiB may be enough";
  EXPECT_FALSE(scene.job(id).attempt);
  busy.devices[0].memory_foreign = 0;
  scene.give(HeartbeatInput{large, "first", busy.devices, {}});
  scene.tick();
  ASSERT_TRUE(scene.job(id).attempt);
  EXPECT_EQ(scene.job(id).attempt->grants[0].worker, large);
  all_run_out(large, 25 * kGiB);
  EXPECT_EQ(scene.state_of(id), JobState::failed) << "nothing has more";
}

// The answer of its probe came while the job was paused.
TEST(Lifecycle, AResumedJobThatFitsNowhereFailsToo) {
  Scene scene;
  const WorkerId worker = scene.hello("w1");
  const JobId id = scene.submit();
  scene.tick();
  scene.give(PauseInput{id});
  RunStatus run = scene.run(id, 0);
  run.phase = RunStatus::Phase::ended;
  run.probes = {ProbeResult{8, Checkpointing::none, true, {}, 9 * kGiB, 0}};
  scene.heartbeat(worker, {run});
  ASSERT_EQ(scene.state_of(id), JobState::paused);
  scene.give(ResumeInput{id});
  scene.tick();
  EXPECT_EQ(scene.state_of(id), JobState::failed);
  EXPECT_EQ(scene.last_move[id].reason, Reason::does_not_fit);
}

TEST(Lifecycle, AMeasuredProfileServesTheNextJobWithoutAProbe) {
  Scene scene;
  scene.hello("w1");
  const JobId first = scene.running();
  const JobId second = scene.submit();
  scene.tick();
  EXPECT_EQ(scene.state_of(second), JobState::starting);
  EXPECT_EQ(scene.job(second).plan, scene.job(first).plan);
}

TEST(Lifecycle, TwoLikeJobsShareOneProbe) {
  Scene scene;
  scene.hello("w1");
  scene.hello("w2");
  const JobId first = scene.submit();
  const JobId second = scene.submit();
  scene.tick();
  EXPECT_EQ(scene.state_of(first), JobState::probing);
  EXPECT_EQ(scene.state_of(second), JobState::queued);
  scene.probe_ends(first);
  scene.tick();
  EXPECT_EQ(scene.state_of(first), JobState::starting);
  EXPECT_EQ(scene.state_of(second), JobState::starting);
}

TEST(Gang, OneDeadRankStopsTheOthersAndWaitsForThem) {
  Scene scene;
  scene.hello("w1", cpu_box(kGiB, 1));
  scene.hello("w2", cpu_box(kGiB, 1));
  const JobId id = scene.running(gang_job(2));
  scene.ends(id, 1, Outcome::crashed);
  EXPECT_EQ(scene.state_of(id), JobState::recovering);
  EXPECT_TRUE(scene.job(id).attempt->stopping);
  EXPECT_FALSE(scene.job(id).attempt->stop_checkpoint);
  scene.keep_alive(20'000);
  EXPECT_EQ(scene.state_of(id), JobState::recovering);
  scene.ends(id, 0, Outcome::killed);
  scene.tick();
  scene.tick();
  EXPECT_EQ(scene.state_of(id), JobState::starting);
  EXPECT_EQ(scene.job(id).restarts, 1);
}

TEST(Gang, TheCauseIsSeenWhenItArrivesAfterItsConsequence) {
  Scene scene;
  scene.hello("w1", cpu_box(kGiB, 1));
  scene.hello("w2", cpu_box(kGiB, 1));
  const JobId id = scene.running(gang_job(2));
  const int64_t before = scene.job(id).plan.micro_batch_size;
  scene.ends(id, 1, Outcome::crashed);  // its peer has gone away
  scene.ends(id, 0, Outcome::oom);
  EXPECT_LT(scene.job(id).plan.micro_batch_size, before);
}

TEST(Gang, SucceedsOnlyWhenEveryRankIsDone) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.running(gang_job(2));
  scene.ends(id, 0, Outcome::done);
  EXPECT_EQ(scene.state_of(id), JobState::running);
  scene.ends(id, 1, Outcome::done);
  EXPECT_EQ(scene.state_of(id), JobState::succeeded);
}

}  // namespace llmctl
