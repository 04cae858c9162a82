#include "scheduler/heart/explain.h"

#include "tests/scheduler/heart/scene.h"

namespace llmctl {
namespace {

Explanation explained(const Scene& scene, JobId id) {
  return explain(scene.state, scene.job(id), scene.config);
}

}  // namespace

TEST(Explain, WithoutWorkersSaysSo) {
  Scene scene;
  EXPECT_EQ(explained(scene, scene.submit()).headline, "waiting for a worker: there is none");
}

TEST(Explain, NamesTheMemoryThatIsMissingAndWhere) {
  Scene scene;
  scene.hello("w1");
  scene.running();
  JobSpec other = small_job();
  other.model.config.num_hidden_layers = 3;
  const Explanation why = explained(scene, scene.submit(other));
  EXPECT_EQ(why.headline.rfind("waiting for memory: needs 8.0 GiB, ", 0), 0U) << why.headline;
  EXPECT_NE(why.headline.find(" is free on w1"), std::string::npos) << why.headline;
  EXPECT_FALSE(why.next_step.empty());
}

TEST(Explain, PrefersWhatMayChangeOverWhatNeverWill) {
  Scene scene;
  scene.hello("w1", cpu_box(kGiB));
  scene.hello("w2", cpu_box(8 * kGiB, 1));
  JobSpec cpu = small_job();
  scene.running(cpu);
  scene.hello("w3", gpu_box(1, kGiB));
  JobSpec cuda = small_job();
  cuda.resources.device = "cuda";
  scene.give(DrainInput{"w3", true});
  const Explanation why = explained(scene, scene.submit(cuda));
  EXPECT_EQ(why.headline, "waiting for a place: w3 is being drained");
  EXPECT_EQ(why.evidence.size(), 3U);
}

TEST(Explain, SaysWhoseProbeItWaitsFor) {
  Scene scene;
  scene.hello("w1");
  const JobId first = scene.submit();
  const JobId second = scene.submit();
  scene.tick();
  EXPECT_NE(explained(scene, second).headline.find("probe of job " + first.str()),
            std::string::npos);
}

TEST(Explain, CountsTheRanksThatWouldFindAPlace) {
  Scene scene;
  scene.hello("w1", cpu_box(8 * kGiB, 2));
  const JobId id = scene.running(gang_job(2));
  scene.ends(id, 0, Outcome::crashed);
  scene.ends(id, 1, Outcome::killed);
  scene.hello("w1", cpu_box(8 * kGiB, 1), {}, "second");
  scene.wait(1'000);
  EXPECT_EQ(explained(scene, id).headline,
            "waiting for a place: needs 2 ranks, 1 would find a place now");
}

TEST(Explain, ShowsTheReasonOfAPauseAndTheWayBack) {
  Scene scene;
  const JobId id = scene.submit();
  scene.give(PauseInput{id});
  EXPECT_EQ(explained(scene, id).next_step, "llmctl resume " + id.str());
}

TEST(Explain, ShowsTheEvidenceOfARecovery) {
  Scene scene;
  scene.hello("w1");
  const JobId id = scene.running();
  scene.ends(id, 0, Outcome::hang);
  const Explanation why = explained(scene, id);
  ASSERT_FALSE(why.evidence.empty());
  EXPECT_EQ(why.evidence[0], "rank 0 on w1: hang: as the test wants");
}

}  // namespace llmctl
