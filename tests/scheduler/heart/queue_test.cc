// The order of the queue, and who may overtake whom.
#include "core/base/limits.h"
#include "tests/scheduler/heart/scene.h"

namespace llmctl {
namespace {

// A second kind of job, so that it shares no profile with small_job().
JobSpec other_job() {
  JobSpec spec = small_job();
  spec.model.config.num_hidden_layers = 3;
  return spec;
}

}  // namespace

TEST(Queue, BiggerPriorityIsSoonerThenTheOlderJob) {
  Scene scene;
  JobSpec urgent = small_job();
  urgent.priority = 90;
  const JobId first = scene.submit();
  const JobId second = scene.submit();
  const JobId third = scene.submit(urgent);
  std::vector<JobId> order;
  scene.hello("w1", cpu_box(8 * kGiB, 1));
  for (int i = 0; i < 3; ++i) {
    scene.tick();
    const JobId id = *scene.state.index.live.begin();
    if (scene.state_of(id) == JobState::probing) {
      scene.probe_ends(id);
      scene.tick();
    }
    order.push_back(id);
    scene.ends(id, 0, Outcome::done);
  }
  EXPECT_EQ(order, (std::vector{third, first, second}));
}

TEST(Queue, ANewPriorityMovesAJobForward) {
  Scene scene;
  const JobId first = scene.submit();
  const JobId second = scene.submit();
  scene.give(PriorityInput{second, 60});
  scene.hello("w1", cpu_box(8 * kGiB, 1));
  scene.tick();
  EXPECT_EQ(scene.state_of(first), JobState::queued);
  EXPECT_EQ(scene.state_of(second), JobState::probing);
}

TEST(Queue, AJobThatDoesNotFitDoesNotBlockASmallerOne) {
  Scene scene;
  scene.hello("w1", cpu_box(8 * kGiB, 2));
  scene.running();
  const JobId gang = scene.submit(gang_job(3));
  const JobId single = scene.submit();
  scene.tick();
  EXPECT_EQ(scene.state_of(gang), JobState::queued);
  EXPECT_EQ(scene.state_of(single), JobState::starting);
}

TEST(Queue, AJobThatHasWaitedLongIsNotOvertaken) {
  Scene scene;
  scene.hello("w1", cpu_box(8 * kGiB, 2));
  const JobId running = scene.running();
  const JobId waiting = scene.submit(other_job());  // its probe needs the whole device
  scene.keep_alive(limits::kQueuePatience);
  EXPECT_EQ(scene.state_of(scene.submit()), JobState::queued);
  scene.tick();
  EXPECT_EQ(scene.job(running).attempt.has_value(), true);
  EXPECT_EQ(scene.promised_ranks(), 2);  // up to its patience, others may pass

  scene.keep_alive(5'000);
  const JobId late = scene.submit();
  scene.ends(JobId{3}, 0, Outcome::done);
  scene.tick();
  EXPECT_EQ(scene.state_of(late), JobState::queued);
  scene.ends(running, 0, Outcome::done);
  scene.tick();
  EXPECT_EQ(scene.state_of(waiting), JobState::probing);
}

TEST(Queue, AJobThatCanNeverFitHoldsNobodyBack) {
  Scene scene;
  scene.hello("w1", cpu_box(8 * kGiB, 2));
  const JobId never = scene.submit(gang_job(64));
  scene.tick();
  scene.probe_ends(never);
  scene.running();
  scene.keep_alive(2 * limits::kQueuePatience);
  const JobId single = scene.submit();
  scene.tick();
  EXPECT_EQ(scene.state_of(never), JobState::queued);
  EXPECT_EQ(scene.state_of(single), JobState::starting);
}

TEST(Queue, WantsOfDifferentDevicesDoNotHoldEachOtherBack) {
  Scene scene;
  JobSpec cuda = small_job();
  cuda.resources.device = "cuda";
  for (int i = 0; i < limits::kPassNeeds + 10; ++i) {
    cuda.model.config.intermediate_size += 64;  // each its own need
    scene.submit(cuda);
  }
  const JobId cpu = scene.submit();
  scene.hello("w1");
  scene.tick();
  EXPECT_EQ(scene.state_of(cpu), JobState::probing);
}

TEST(Queue, ASweepOfManyShapesDoesNotHoldASmallJobBack) {
  Scene scene;
  scene.hello("w1", cpu_box(8 * kGiB, 2));
  const JobId running = scene.running();
  for (int i = 0; i < limits::kPassNeeds + 10; ++i) {
    JobSpec gang = gang_job(3);  // there are two slots
    gang.model.config.intermediate_size += 64 * i;
    const JobId id = scene.submit(gang);
    Plan plan = scene.job(running).plan;
    plan.peak_bytes_measured = kGiB + i;  // each its own need
    Event planned{{}, 0, 0, id, {}, {}, JobPlanned{plan}};
    planned.seq = Seq{scene.state.last_seq.value + 1};
    apply(scene.state, planned);
  }
  const JobId single = scene.submit();
  scene.tick();
  EXPECT_EQ(scene.state_of(single), JobState::starting);
}

TEST(Queue, AJobThatHasWaitedLongWithholdsOnlyWhatItWouldGet) {
  Scene scene;
  Inventory box = gpu_box(2, 8 * kGiB);
  box.devices[1].name = "A100";
  scene.hello("w1", box);
  JobSpec on_a100 = small_job();
  on_a100.resources.device = "cuda";
  on_a100.resources.device_name = "A100";
  const JobId running = scene.running(on_a100);
  JobSpec other = other_job();
  other.resources = on_a100.resources;
  const JobId waiting = scene.submit(other);  // its probe needs the whole card
  scene.keep_alive(limits::kQueuePatience + 5'000);
  EXPECT_EQ(scene.state_of(waiting), JobState::queued);
  JobSpec elsewhere = small_job();
  elsewhere.resources.device = "cuda";
  elsewhere.resources.device_name = "4090";
  const JobId free_to_go = scene.submit(elsewhere);
  scene.tick();
  EXPECT_EQ(scene.state_of(free_to_go), JobState::probing);
  const JobId behind = scene.submit(on_a100);
  scene.tick();
  EXPECT_EQ(scene.state_of(behind), JobState::queued);
  EXPECT_TRUE(scene.live(running));
}

TEST(Queue, OnePassGrantsABoundedNumber) {
  Scene scene;
  scene.hello("w1", cpu_box(8 * kGiB, 4));
  scene.running();
  for (int i = 0; i < limits::kPassGrants + 10; ++i) scene.submit();
  for (const char* name : {"w2", "w3", "w4"}) scene.hello(name, cpu_box(4'000 * kGiB, 200));
  scene.tick();
  EXPECT_EQ(scene.promised_ranks(), 1 + limits::kPassGrants);
  scene.tick();
  EXPECT_EQ(scene.promised_ranks(), 1 + limits::kPassGrants + 10);
}

}  // namespace llmctl
