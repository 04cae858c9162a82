// apply(): facts change State, the same way every time.
#include "tests/scheduler/heart/scene.h"

namespace llmctl {
namespace {

// State as a restart finds it: durable events only, without boot times.
State replayed(const std::vector<Event>& events) {
  State state;
  for (Event event : events) {
    if (!is_durable(event)) continue;
    event.boot_ms = 0;
    apply(state, event);
  }
  return state;
}

}  // namespace

TEST(Apply, ReplayOfDurableEventsGivesTheSameJobs) {
  Scene scene;
  scene.hello("w1");
  const JobId running = scene.running();
  scene.report(running, 0, checkpoint_at(5));
  const JobId paused = scene.submit(gang_job(2), "key");
  scene.give(PauseInput{paused});
  const State state = replayed(scene.events);
  ASSERT_EQ(state.jobs.size(), 2U);
  EXPECT_EQ(state.jobs.at(running).attempt->grants, scene.job(running).attempt->grants);
  EXPECT_EQ(state.jobs.at(running).checkpoints, scene.job(running).checkpoints);
  EXPECT_EQ(state.jobs.at(paused).state, JobState::paused);
  EXPECT_EQ(state.keys, scene.state.keys);
  EXPECT_EQ(state.profiles, scene.state.profiles);
  EXPECT_EQ(state.last_seq, scene.state.last_seq);
  EXPECT_EQ(sanity_problems(state), std::vector<std::string>());
}

TEST(Apply, AfterARestartARunningJobStaysAndWorkersAreAwaited) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.running();
  scene.state = replayed(scene.events);
  scene.state.started_boot_ms = scene.now;
  scene.tick();
  EXPECT_EQ(scene.state_of(id), JobState::running);
  scene.hello("w1", cpu_box(8 * kGiB), {scene.run(id, 0)});
  scene.ends(id, 0, Outcome::done);
  EXPECT_EQ(scene.state_of(id), JobState::succeeded);
}

TEST(ApplyDeathTest, AnIllegalMoveIsABug) {
  Scene scene;
  const JobId id = scene.submit();
  Event event;
  event.seq = Seq{scene.state.last_seq.value + 1};
  event.job = id;
  event.body = JobMoved{JobState::queued, JobState::running, Reason::none, "", 0};
  EXPECT_DEATH(apply(scene.state, event), "CHECK failed");
}

TEST(ApplyDeathTest, ASequenceNumberIsNeverUsedTwice) {
  Scene scene;
  scene.submit();
  const Event again = scene.events.back();
  EXPECT_DEATH(apply(scene.state, again), "CHECK failed");
}

TEST(Sanity, SeesMemoryThatIsPromisedTwice) {
  Scene scene;
  scene.hello("w1", cpu_box(kGiB));
  const JobId id = scene.running();
  Event event;
  event.seq = Seq{scene.state.last_seq.value + 1};
  event.job = JobId{id.value + 1};
  event.body = JobSubmitted{small_job(), "", {}, {}};
  apply(scene.state, event);
  event.seq = Seq{event.seq.value + 1};
  event.epoch = Epoch{1};
  event.body = AttemptGranted{AttemptKind::train, {{0, WorkerId{1}, 0, "cpu", kGiB, "w1"}}};
  apply(scene.state, event);
  EXPECT_FALSE(sanity_problems(scene.state).empty());
}

TEST(Sanity, SeesAnIndexThatDoesNotFollow) {
  Scene scene;
  const JobId id = scene.submit();
  scene.state.jobs.at(id).priority = 99;
  EXPECT_EQ(sanity_problems(scene.state),
            std::vector<std::string>{"the index is not what jobs and workers give"});
}

}  // namespace llmctl
