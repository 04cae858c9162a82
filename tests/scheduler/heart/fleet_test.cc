// What workers say: hello, heartbeats, reports; leases and epochs.
#include "scheduler/heart/explain.h"
#include "tests/scheduler/heart/scene.h"

namespace llmctl {

TEST(Epoch, ReportsAndStatusesOfAnOldOneCountNothing) {
  Scene scene;
  const WorkerId worker = scene.hello("w1");
  const JobId id = scene.running();
  RunStatus old = scene.run(id, 0);
  old.epoch = Epoch{1};
  old.phase = RunStatus::Phase::ended;
  old.outcome = Outcome::crashed;
  scene.heartbeat(worker, {old, scene.run(id, 0)});
  EXPECT_EQ(scene.state_of(id), JobState::running);
  for (const auto epoch : {Epoch{1}, Epoch{3}}) {
    const Decision decision = scene.give(ReportInput{worker, id, epoch, 0, checkpoint_at(10)});
    EXPECT_TRUE(decision.events.empty());
  }
  EXPECT_TRUE(scene.job(id).checkpoints.empty());
}

TEST(Epoch, AWorkerSpeaksOnlyForItsOwnRanks) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.running();
  const WorkerId other = scene.hello("w2");
  RunStatus forged = scene.run(id, 0);
  forged.phase = RunStatus::Phase::ended;
  scene.heartbeat(other, {forged});
  scene.give(ReportInput{other, id, scene.job(id).epoch, 0, checkpoint_at(5)});
  forged.rank = 5;
  scene.heartbeat(other, {forged});
  forged.rank = -1;
  scene.heartbeat(other, {forged});
  EXPECT_EQ(scene.state_of(id), JobState::running);
  EXPECT_TRUE(scene.job(id).checkpoints.empty());
}

TEST(Checkpoint, IsCommittedOnceAndAlsoWhileTheRankLeaves) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.running();
  const CheckpointCommitted first = checkpoint_at(10);
  scene.report(id, 0, first);
  scene.report(id, 0, first);
  EXPECT_EQ(scene.job(id).checkpoints.size(), 1U);
  scene.give(PauseInput{id});
  scene.report(id, 0, checkpoint_at(12));
  EXPECT_EQ(scene.job(id).checkpoints.size(), 2U);
  scene.report(id, 0, CheckpointRemoved{"e2-s10", false});
  ASSERT_EQ(scene.job(id).checkpoints.size(), 1U);
  EXPECT_EQ(scene.job(id).checkpoints[0].commit.path, "e2-s12");
}

TEST(Checkpoint, TheNewestOfVeryManyAreKnown) {
  Scene scene;
  scene.hello("w1");
  JobSpec endless = small_job();
  endless.max_steps.reset();
  endless.num_epochs = 3;
  const JobId id = scene.running(endless);
  for (size_t step = 1; step <= kKnownCheckpoints + 3; ++step) {
    scene.report(id, 0, checkpoint_at(static_cast<int64_t>(step)));
  }
  ASSERT_EQ(scene.job(id).checkpoints.size(), kKnownCheckpoints);
  EXPECT_EQ(scene.job(id).checkpoints.front().commit.step, 4);
}

TEST(Checkpoint, OfACanceledJobIsNotTaken) {
  Scene scene;
  const WorkerId worker = scene.hello("w1");
  const JobId id = scene.running();
  scene.give(CancelInput{id});
  const ReportInput late{worker, id, Epoch{2}, 0, checkpoint_at(10)};
  EXPECT_TRUE(scene.give(late).events.empty());
}

TEST(Sample, IsToldOnceAndTheNewestIsKept) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.running();
  scene.report(id, 0, SampleGenerated{50, "To be", " good"});
  scene.report(id, 0, SampleGenerated{50, "To be", " good"});
  EXPECT_EQ(scene.count("SampleGenerated"), 1);
  scene.report(id, 0, SampleGenerated{100, "To be", " better"});
  EXPECT_EQ(scene.job(id).sample->text, " better");
}

TEST(Lease, OfEverybodyBeginsAnewWhenTheSchedulerItselfWasAway) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.running();
  scene.now += 600'000;
  scene.give(TickInput{scene.now});
  EXPECT_EQ(scene.count("WorkerLost"), 0) << "nobody could be heard meanwhile";
  scene.now += scene.config.lease_ms + scene.config.grace_ms + 1;
  scene.give(TickInput{scene.now - scene.config.lease_ms - scene.config.grace_ms - 1});
  EXPECT_EQ(scene.count("WorkerLost"), 1) << "now it has been silent";
  EXPECT_NE(scene.state_of(id), JobState::running);
}

TEST(Heartbeat, RepeatedTellsNothingDurable) {
  Scene scene;
  const WorkerId worker = scene.hello("w1");
  scene.running();
  const Seq before = scene.state.last_seq;
  for (int i = 0; i < 3; ++i) scene.heartbeat(worker, scene.runs_on(worker));
  EXPECT_EQ(scene.state.last_seq, before);
}

TEST(Heartbeat, OfAnotherInstanceIsRefused) {
  Scene scene;
  const WorkerId worker = scene.hello("w1");
  const Decision decision = scene.give(HeartbeatInput{worker, "ghost", {}, {}});
  EXPECT_EQ(decision.answer.error->code, Code::failed_precondition);
  EXPECT_TRUE(decision.events.empty());
}

TEST(Heartbeat, ARunThatIsNotWantedIsAnsweredWithWhatIs) {
  Scene scene;
  const WorkerId worker = scene.hello("w1");
  RunStatus stray;
  stray.job = JobId{99};
  stray.epoch = Epoch{4};
  const Decision decision = scene.give(HeartbeatInput{worker, "first", {}, {stray}});
  EXPECT_TRUE(decision.sync.contains(worker));
  EXPECT_TRUE(desired_runs(scene.state, worker, scene.config).empty());
}

TEST(Heartbeat, AGrantThatTheWorkerDoesNotKnowIsSentAgain) {
  Scene scene;
  const WorkerId worker = scene.hello("w1");
  scene.submit();
  scene.tick();
  EXPECT_TRUE(scene.give(HeartbeatInput{worker, "first", {}, {}}).sync.contains(worker));
}

TEST(Hello, ARestartedWorkerKeepsTheRunsItReports) {
  Scene scene;
  const WorkerId worker = scene.hello("w1");
  const JobId id = scene.running();
  const Epoch before = scene.job(id).epoch;
  EXPECT_EQ(scene.hello("w1", cpu_box(8 * kGiB), {scene.run(id, 0)}, "second"), worker);
  EXPECT_EQ(scene.state_of(id), JobState::running);
  EXPECT_EQ(scene.job(id).epoch, before);
}

TEST(Hello, ARankThatARestartedWorkerDoesNotReportHasCrashed) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.running();
  scene.hello("w1", cpu_box(8 * kGiB), {}, "second");
  EXPECT_EQ(scene.state_of(id), JobState::recovering);
  EXPECT_EQ(scene.job(id).reason, Reason::rank_crashed);
}

TEST(Hello, AGrantThatWasNeverUpSurvivesAReconnect) {
  Scene scene;
  const WorkerId worker = scene.hello("w1");
  const JobId id = scene.submit();
  scene.tick();
  const Decision decision = scene.give(HelloInput{"w1", "first", cpu_box(8 * kGiB), {}});
  EXPECT_TRUE(decision.sync.contains(worker));
  EXPECT_EQ(scene.state_of(id), JobState::probing);
}

TEST(Hello, AnEndWaitsForTheHeartbeatSoThatItsLastCheckpointIsTaken) {
  Scene scene;
  const WorkerId worker = scene.hello("w1");
  const JobId id = scene.running();
  RunStatus ended = scene.run(id, 0);
  ended.phase = RunStatus::Phase::ended;
  scene.hello("w1", cpu_box(8 * kGiB), {ended}, "second");
  EXPECT_EQ(scene.state_of(id), JobState::running);
  scene.report(id, 0, checkpoint_at(100));
  EXPECT_EQ(scene.job(id).checkpoints.size(), 1U);
  scene.heartbeat(worker, {ended});
  EXPECT_EQ(scene.state_of(id), JobState::succeeded);
}

TEST(Lease, AWorkerIsLostOnlyAfterLeaseAndGrace) {
  Scene scene;
  const WorkerId worker = scene.hello("w1");
  const JobId id = scene.running();
  scene.give(DisconnectInput{worker, "first"});
  EXPECT_EQ(scene.state_of(id), JobState::running);
  scene.wait(scene.config.lease_ms + scene.config.grace_ms);
  EXPECT_EQ(scene.state_of(id), JobState::running);
  scene.wait(1);
  EXPECT_TRUE(scene.state.workers.at(worker).lost);
  EXPECT_EQ(scene.state_of(id), JobState::recovering);
  EXPECT_EQ(scene.promised_ranks(), 0);
}

TEST(Lease, CountsFromTheStartOfARestartedScheduler) {
  Scene scene;
  const WorkerId worker = scene.hello("w1");
  scene.now += 1'000'000;
  scene.state.started_boot_ms = scene.now;
  scene.tick();
  EXPECT_FALSE(scene.state.workers.at(worker).lost);
}

TEST(Leftovers, HoldTheirDeviceUntilTheWorkerNoLongerReportsThem) {
  Scene scene;
  const WorkerId worker = scene.hello("w1", gpu_box(2, 8 * kGiB));
  const JobId old = scene.running();
  const RunStatus dying = scene.run(old, 0);
  scene.wait(60'000);
  ASSERT_TRUE(scene.state.workers.at(worker).lost);
  scene.hello("w1", gpu_box(2, 8 * kGiB), {dying});
  for (int i = 0; i < 5; ++i) {
    scene.submit();
    scene.tick();
  }
  const std::string device = dying.device;
  for (const auto& [name, used] : scene.state.index.loads.at(worker).devices) {
    EXPECT_NE(device_label(name.first, name.second), device);
  }
  const JobId next = scene.submit(gang_job(2));
  scene.heartbeat(worker, scene.runs_on(worker));
  scene.tick();
  EXPECT_TRUE(scene.state.workers.at(worker).leftovers.empty());
  EXPECT_EQ(scene.state.index.loads.at(worker).devices.size(), 2U) << next.str();
}

TEST(Leftovers, OfAnUnknownDeviceHoldTheWholeWorker) {
  Scene scene;
  const WorkerId worker = scene.hello("w1", gpu_box(2, 8 * kGiB));
  RunStatus stray;
  stray.job = JobId{99};
  stray.epoch = Epoch{4};
  scene.heartbeat(worker, {stray});
  const JobId id = scene.submit();
  scene.tick();
  EXPECT_EQ(scene.state_of(id), JobState::queued);
  EXPECT_NE(explain(scene.state, scene.job(id), scene.config).headline.find("still ends ranks"),
            std::string::npos);
  stray.phase = RunStatus::Phase::ended;
  scene.heartbeat(worker, {stray});
  scene.tick();
  EXPECT_EQ(scene.state_of(id), JobState::probing);
}

TEST(Lease, ALostWorkerHasToSayHelloAgain) {
  Scene scene;
  const WorkerId worker = scene.hello("w1");
  scene.wait(60'000);
  EXPECT_TRUE(scene.state.workers.at(worker).lost);
  const Decision late = scene.give(HeartbeatInput{worker, "first", {}, {}});
  EXPECT_EQ(late.answer.error->code, Code::failed_precondition);
  EXPECT_TRUE(scene.state.workers.at(worker).lost);
  scene.hello("w1");
  const JobId id = scene.submit();
  scene.tick();
  EXPECT_EQ(scene.state_of(id), JobState::probing);
}

// ---- names

HelloInput hello_from(const std::string& place, const std::string& instance, Millis made) {
  HelloInput input{"w1", instance, cpu_box(8 * kGiB), {}, made, place + ":4711"};
  input.inventory.place = place;
  return input;
}

TEST(Names, ALateHelloDoesNotReplaceANewerOne) {
  Scene scene;
  ASSERT_FALSE(scene.give(hello_from("here", "first", 500)).answer.error);
  const JobId id = scene.submit();
  scene.tick();
  ASSERT_EQ(scene.state_of(id), JobState::probing);
  scene.give(HeartbeatInput{WorkerId{1}, "first", {}, {scene.run(id, 0)}});
  const Decision late = scene.give(hello_from("here", "first", 400));
  ASSERT_TRUE(late.answer.error);
  EXPECT_NE(late.answer.error->message.find("newer hello"), std::string::npos);
  EXPECT_EQ(scene.state_of(id), JobState::probing) << "a rank it does not name has not ended";
  EXPECT_FALSE(scene.give(hello_from("here", "second", 600)).answer.error) << "a restart";
}

TEST(Names, ANamesakeIsRefusedWhileTheFirstMayHoldRanks) {
  Scene scene;
  ASSERT_FALSE(scene.give(hello_from("here", "first", 500)).answer.error);
  const JobId id = scene.submit();
  scene.tick();
  ASSERT_EQ(scene.state_of(id), JobState::probing);
  scene.give(DisconnectInput{WorkerId{1}, "first"});
  const Decision twin = scene.give(hello_from("there", "other", 100));
  ASSERT_TRUE(twin.answer.error) << "a short cut of the first one gives its name to nobody";
  EXPECT_NE(twin.answer.error->message.find("here:4711"), std::string::npos);
  EXPECT_NE(twin.answer.error->message.find("there:4711"), std::string::npos);
  scene.wait(scene.config.lease_ms + scene.config.grace_ms + 1);
  EXPECT_FALSE(scene.give(hello_from("there", "other", 200)).answer.error) << "the first is lost";
}

// A machine that was installed anew joins under its old name (k3s#467, where it could not).
TEST(Names, ANamesakeTakesANameThatNobodyUses) {
  Scene scene;
  ASSERT_FALSE(scene.give(hello_from("here", "first", 500)).answer.error);
  EXPECT_TRUE(scene.give(hello_from("there", "other", 100)).answer.error) << "it is connected";
  scene.give(DisconnectInput{WorkerId{1}, "first"});
  EXPECT_FALSE(scene.give(hello_from("there", "other", 100)).answer.error);
}

// ---- forgetting

TEST(Forget, OnlyALostWorkerAndItsNumberIsNeverGivenAgain) {
  Scene scene;
  scene.hello("w1");
  const WorkerId second = scene.hello("w2");
  EXPECT_EQ(scene.give(ForgetInput{"w2"}).answer.error->code, Code::failed_precondition);
  EXPECT_EQ(scene.give(ForgetInput{"w9"}).answer.error->code, Code::not_found);
  scene.wait(60'000);
  EXPECT_FALSE(scene.give(ForgetInput{"w2"}).answer.error);
  EXPECT_FALSE(scene.state.workers.contains(second));
  EXPECT_GT(scene.hello("w2"), second);
}

TEST(Forget, ByItselfAfterAWhileOrWhenANameNeedsTheRoom) {
  Scene scene;
  scene.hello("old");
  scene.wait(60'000);
  ASSERT_EQ(scene.count("WorkerLost"), 1);
  for (int i = 2; i <= limits::kWorkers; ++i) {  // without the checks of a scene, which take long
    Event registered;
    registered.seq = Seq{scene.state.last_seq.value + 1};
    registered.worker = WorkerId{i};
    registered.body = WorkerRegistered{"w" + std::to_string(i), "first", cpu_box(kGiB, 1)};
    apply(scene.state, registered);
  }
  EXPECT_TRUE(scene.hello("new")) << "the lost one makes room";
  EXPECT_FALSE(scene.state.worker_names.contains("old"));
  EXPECT_FALSE(scene.hello("one too many"));

  Scene later;
  later.hello("old");
  later.wait(60'000);
  later.wait(limits::kWorkerMemory - 1);
  EXPECT_EQ(later.count("WorkerForgotten"), 0);
  later.wait(60'000);
  EXPECT_TRUE(later.state.workers.empty());
}

}  // namespace llmctl
