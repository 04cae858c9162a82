// What people ask for: submit, cancel, pause, resume, priority, drain.
#include "tests/scheduler/heart/scene.h"

namespace llmctl {
namespace {

// Brings a fresh job into `state`; every state that a job can be canceled in.
JobId job_in(Scene& scene, JobState state) {
  const WorkerId worker = scene.hello("w1");
  if (state == JobState::queued) return scene.submit();
  if (state == JobState::probing || state == JobState::starting) {
    const JobId id = scene.submit();
    scene.tick();
    if (state == JobState::probing) return id;
    scene.probe_ends(id);
    scene.tick();
    return id;
  }
  const JobId id = scene.running();
  if (state == JobState::paused) scene.give(PauseInput{id});
  if (state == JobState::preempting) scene.give(DrainInput{"w1", true});
  if (state == JobState::recovering) scene.ends(id, 0, Outcome::crashed);
  EXPECT_EQ(worker, WorkerId{1});
  return id;
}

}  // namespace

class InEveryState : public testing::TestWithParam<JobState> {};
INSTANTIATE_TEST_SUITE_P(Live,
                         InEveryState,
                         testing::Values(JobState::queued,
                                         JobState::probing,
                                         JobState::starting,
                                         JobState::running,
                                         JobState::preempting,
                                         JobState::recovering,
                                         JobState::paused),
                         [](const auto& each) { return std::string(to_string(each.param)); });

TEST_P(InEveryState, CancelWins) {
  Scene scene;
  const JobId id = job_in(scene, GetParam());
  ASSERT_EQ(scene.state_of(id), GetParam());
  EXPECT_FALSE(scene.give(CancelInput{id}).answer.error);
  EXPECT_EQ(scene.state_of(id), JobState::canceled);
  if (scene.live(id)) {  // the devices stay promised until the rank is gone
    EXPECT_EQ(desired_runs(scene.state, WorkerId{1}, scene.config).front().stop,
              RunOrder::Stop::kill);
    EXPECT_EQ(scene.promised_ranks(), 1);
    scene.ends(id, 0, Outcome::done);
  }
  EXPECT_EQ(scene.state_of(id), JobState::canceled);
  EXPECT_FALSE(scene.live(id));
  EXPECT_EQ(scene.promised_ranks(), 0);
}

TEST_P(InEveryState, PauseAndResumeLeadBackToTheQueue) {
  Scene scene;
  const JobId id = job_in(scene, GetParam());
  EXPECT_FALSE(scene.give(PauseInput{id}).answer.error);
  EXPECT_EQ(scene.state_of(id), JobState::paused);
  EXPECT_FALSE(scene.give(ResumeInput{id}).answer.error);
  EXPECT_EQ(scene.state_of(id), JobState::queued);
  const Epoch before = scene.job(id).epoch;
  scene.wait(1);
  if (scene.job(id).attempt && scene.job(id).epoch == before) {
    EXPECT_EQ(scene.state_of(id), JobState::queued);  // never beside its old ranks
    scene.ends(id, 0, Outcome::left);
    EXPECT_FALSE(scene.job(id).attempt);
  }
}

TEST(Submit, TheSameKeyAndSpecGiveTheSameJob) {
  Scene scene;
  const JobId id = scene.submit(small_job(), "night-1");
  SubmitInput again{small_job(), "night-1", {}, {}, {}, false};
  const Decision decision = scene.give(again);
  EXPECT_EQ(decision.answer.job, id);
  EXPECT_TRUE(decision.answer.existed);
  EXPECT_TRUE(decision.events.empty());
}

TEST(Submit, TheSameKeyWithAnotherSpecIsRefused) {
  Scene scene;
  scene.submit(small_job(), "night-1");
  JobSpec other = small_job();
  other.seed = 7;
  const Decision decision = scene.give(SubmitInput{other, "night-1", {}, {}, {}, false});
  EXPECT_EQ(decision.answer.error->code, Code::already_exists);
  EXPECT_EQ(scene.state.jobs.size(), 1U);
}

TEST(Submit, AKeyOfAFinishedJobAnswersWithThatJob) {
  Scene scene;
  SubmitInput input{small_job(), "night-1", {}, {}, JobId{3}, true};
  EXPECT_EQ(scene.give(input).answer.job, JobId{3});
  input.finished_twin_same_spec = false;
  EXPECT_EQ(scene.give(input).answer.error->code, Code::already_exists);
  EXPECT_TRUE(scene.state.jobs.empty());
}

TEST(Submit, ARetryInheritsTheCheckpointsOfItsOrigin) {
  Scene scene;
  const WorkerId worker = scene.hello("w1");
  SubmitInput input{small_job(), "", JobId{7}, {{JobId{7}, checkpoint_at(50, 1)}}, {}, false};
  const JobId id = scene.give(input).answer.job;
  scene.tick();
  scene.probe_ends(id);
  scene.tick();
  scene.report(id, 0, checkpoint_at(60));
  const std::vector<RunOrder> runs = desired_runs(scene.state, worker, scene.config);
  ASSERT_EQ(runs.size(), 1U);
  EXPECT_EQ(runs[0].config.resume,
            (std::vector<std::string>{"checkpoints/e2-s60", "../7/checkpoints/e1-s50"}));
}

TEST(Cancel, OfAnUnknownJobIsRefused) {
  Scene scene;
  EXPECT_EQ(scene.give(CancelInput{JobId{9}}).answer.error->code, Code::not_found);
}

TEST(Cancel, TwiceSaysNothingNew) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.running();
  scene.give(CancelInput{id});
  const Decision again = scene.give(CancelInput{id});
  EXPECT_FALSE(again.answer.error);
  EXPECT_TRUE(again.events.empty());
}

TEST(Pause, AsksForACheckpointAndKillsWhenPatienceEnds) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.running();
  scene.give(PauseInput{id});
  EXPECT_EQ(desired_runs(scene.state, WorkerId{1}, scene.config)[0].stop,
            RunOrder::Stop::checkpoint);
  scene.keep_alive(scene.config.stop_grace_ms);
  EXPECT_EQ(desired_runs(scene.state, WorkerId{1}, scene.config)[0].stop,
            RunOrder::Stop::checkpoint);
  scene.keep_alive(1);
  EXPECT_EQ(desired_runs(scene.state, WorkerId{1}, scene.config)[0].stop, RunOrder::Stop::kill);
}

TEST(Pause, AJobThatFinishesWhileLeavingHasSucceeded) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.running();
  scene.give(PauseInput{id});
  scene.ends(id, 0, Outcome::done);
  EXPECT_EQ(scene.state_of(id), JobState::succeeded);
}

TEST(Pause, AFailureWhileLeavingLeavesThePause) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.running();
  scene.give(PauseInput{id});
  scene.ends(id, 0, Outcome::crashed);
  EXPECT_EQ(scene.state_of(id), JobState::paused);
  EXPECT_EQ(scene.job(id).restarts, 0);
}

TEST(Priority, OfAWaitingJobCanBeChanged) {
  Scene scene;
  const JobId id = scene.submit();
  EXPECT_FALSE(scene.give(PriorityInput{id, 100}).answer.error);
  EXPECT_EQ(scene.job(id).priority, 100);
}

TEST(Drain, RunningJobsCheckpointAndContinueElsewhere) {
  Scene scene;
  const WorkerId first = scene.hello("w1");
  const JobId id = scene.running();
  scene.give(DrainInput{"w1", true});
  EXPECT_EQ(scene.state_of(id), JobState::preempting);
  EXPECT_EQ(desired_runs(scene.state, first, scene.config)[0].stop, RunOrder::Stop::checkpoint);
  const WorkerId second = scene.hello("w2");
  scene.ends(id, 0, Outcome::left);
  EXPECT_EQ(scene.state_of(id), JobState::queued);
  EXPECT_EQ(scene.job(id).restarts, 0);
  scene.tick();
  EXPECT_EQ(scene.job(id).attempt->grants.front().worker, second);
}

TEST(Drain, UndoneAWorkerTakesJobsAgain) {
  Scene scene;
  scene.hello("w1");
  scene.give(DrainInput{"w1", true});
  const JobId id = scene.submit();
  scene.tick();
  EXPECT_EQ(scene.state_of(id), JobState::queued);
  scene.give(DrainInput{"w1", false});
  scene.tick();
  EXPECT_EQ(scene.state_of(id), JobState::probing);
}

TEST(Drain, OfAnUnknownWorkerIsRefused) {
  Scene scene;
  EXPECT_EQ(scene.give(DrainInput{"nobody", true}).answer.error->code, Code::not_found);
}

}  // namespace llmctl
