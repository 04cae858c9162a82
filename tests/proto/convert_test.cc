// Round trips of every event, and the errors of hostile messages.
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "core/base/limits.h"
#include "proto/convert.h"
#include "proto/convert_event.h"
#include "proto/status.h"

namespace llmctl {
namespace {

// Values of every kind from one seed.
class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  int64_t number() { return static_cast<int64_t>(engine_() >> (2 + engine_() % 40)); }
  int32_t small() { return static_cast<int32_t>(engine_() % 1'000); }
  bool coin() { return engine_() % 2 == 0; }
  double real() { return static_cast<double>(engine_()) / 1e12; }
  std::string text() {
    static constexpr const char* kTexts[] = {"", "rank 1: signal 9", "päth \xE2\x82\xAC",
                                             "\"'\n\t"};
    return kTexts[engine_() % 4];
  }
  template <class T>
  T one_of(T last) {
    return static_cast<T>(engine_() % (static_cast<uint64_t>(last) + 1));
  }

 private:
  std::mt19937_64 engine_;
};

MemoryByCause any_memory(Random& random) {
  return {random.number(), random.number(), random.number(),
          random.number(), random.number(), random.number()};
}

ProbeResult any_probe(Random& random) {
  return {random.small() + 1, random.one_of(Checkpointing::block),
          random.coin(),      any_memory(random),
          random.number(),    random.real(),
          random.real(),      random.coin(),
          random.coin()};
}

Plan any_plan(Random& random) {
  Plan plan;
  plan.micro_batch_size = random.small();
  plan.gradient_accumulation_steps = random.small();
  plan.gradient_checkpointing = random.one_of(Checkpointing::block);
  plan.on_cpu = random.coin();
  plan.pack_weights = random.coin();
  plan.copy_checkpoints = random.coin();
  plan.micro_batch_origin = random.one_of(Origin::measured);
  plan.checkpointing_origin = random.one_of(Origin::measured);
  plan.predicted = any_memory(random);
  plan.measured = any_memory(random);
  plan.peak_bytes_predicted = random.number();
  plan.seconds_per_step = random.real();
  plan.tokens_per_second = random.real();
  plan.oom_refits = random.small();
  return plan;
}

Device any_device(Random& random) {
  return {random.small(),  random.coin() ? "cpu" : "cuda",
          "GPU-1",         random.text(),
          random.number(), random.number(),
          random.small(),  random.coin()};
}

CheckpointCommitted any_checkpoint(Random& random) {
  return {random.number(), random.number(), "e3-s100",    random.number(),
          random.real(),   "0af3",          random.real()};
}

JobSpec any_spec(Random& random) {
  JobSpec spec;
  spec.name = "job";
  spec.model.preset = presets().front().name;
  spec.model.config = presets().front().config;
  spec.datasets = {DatasetSpec{"/data/text.txt", "text", "text"}};
  spec.max_steps = random.small() + 1;
  spec.seed = random.small();
  return parse_spec_json(spec_text(spec)).value();  // as every spec that is ever stored
}

Progressed any_progress(Random& random) {
  Progressed progress;
  progress.step = random.number();
  progress.loss = random.real();
  progress.eval_loss = random.real();
  progress.tokens_per_second = random.real();
  progress.phase = "train";
  progress.mfu = random.real();
  for (double& seconds : progress.phase_seconds) seconds = random.real();
  for (double& norm : progress.group_grad_norms) norm = random.real();
  progress.loss_spikes = random.number();
  return progress;
}

std::vector<EventBody> one_of_each(Random& random) {
  return {
      JobSubmitted{
          any_spec(random), "key", JobId{random.small()}, {{JobId{1}, any_checkpoint(random)}}},
      JobMoved{random.one_of(JobState::canceled), random.one_of(JobState::canceled),
               random.one_of(Reason::not_understood), random.text(), random.number()},
      JobPlanned{any_plan(random)},
      PriorityChanged{random.small()},
      AttemptGranted{random.one_of(AttemptKind::train),
                     {{0, WorkerId{1}, random.small(), "cuda", random.number(), random.text()},
                      {1, WorkerId{2}, random.small(), "cpu", random.number(), random.text()}}},
      AttemptStopping{random.coin(), random.one_of(Reason::not_understood)},
      RankGone{random.small(), random.one_of(Outcome::killed), random.text()},
      ProbeMeasured{"llama|cpu", {any_probe(random), any_probe(random)}, random.number()},
      any_checkpoint(random),
      CheckpointRemoved{"e3-s100", random.coin()},
      SampleGenerated{random.number(), random.text(), random.text()},
      WorkerRegistered{"w1", "i1", {"host", "0.1", 8, random.number(), {any_device(random)}}},
      WorkerDrained{random.coin()},
      WorkerLost{random.text()},
      WorkerForgotten{random.text()},
      WorkerSeen{random.coin(), {any_device(random)}, {"cpu:0", "cuda:1"}},
      WorkerHeld{random.text()},
      RankUp{random.small(), random.number()},
      any_progress(random),
  };
}

TEST(Convert, EveryEventSurvivesTheRoundTrip) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    Random random(seed);
    const auto bodies = one_of_each(random);
    ASSERT_EQ(bodies.size(), std::variant_size_v<EventBody>);
    for (size_t i = 0; i < bodies.size(); ++i) {
      ASSERT_EQ(bodies[i].index(), i) << "one_of_each() misses an alternative";
      const Event event{
          Seq{random.number()},  random.number(),          0,        JobId{random.small()},
          Epoch{random.small()}, WorkerId{random.small()}, bodies[i]};
      v1::Event message;
      ASSERT_TRUE(message.ParseFromString(to_wire(event).SerializeAsString()));
      const auto back = from_wire(message);
      ASSERT_TRUE(back.ok()) << event_name(event) << ": " << back.error().message;
      ASSERT_EQ(*back, event) << event_name(event) << ", seed " << seed;
    }
  }
}

TEST(Convert, CutsALongSampleBetweenCharacters) {
  SampleGenerated sample{3, "ab", ""};
  for (Bytes i = 0; i < limits::kSampleBytes; ++i) sample.text += "\u00e9";
  const v1::Sample message = to_wire(sample);
  EXPECT_EQ(static_cast<Bytes>(message.text().size()), limits::kSampleBytes);
  EXPECT_TRUE(from_wire(message).ok());
  v1::Sample longer = message;
  longer.set_text(message.text() + "x");
  EXPECT_EQ(from_wire(longer).error().code, Code::invalid_argument);
}

TEST(Convert, RunStatusSurvivesTheRoundTrip) {
  Random random(7);
  RunStatus status{JobId{3}, Epoch{4},         1,          RunStatus::Phase::ended, "cuda:1",
                   99,       Outcome::crashed, "signal 9", {any_probe(random)}};
  EXPECT_EQ(from_wire(to_wire(status)).value(), status);
}

TEST(Convert, NamesTheFieldFromTheOutside) {
  v1::Inventory inventory;
  inventory.add_devices()->set_kind("cpu");
  inventory.add_devices()->set_kind("cuda");
  inventory.mutable_devices(1)->set_memory_total(-5);
  const auto result = from_wire(inventory);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, Code::invalid_argument);
  EXPECT_EQ(result.error().message, "devices[1].memory_total: expected >= 0, got -5");
}

TEST(Convert, RefusesMoreEntriesThanTheLimit) {
  v1::Inventory inventory;
  for (int i = 0; i < 65; ++i) inventory.add_devices()->set_kind("cpu");
  EXPECT_EQ(from_wire(inventory).error().message, "devices: at most 64 entries, got 65");
}

TEST(Convert, RefusesACheckpointPathThatLeavesItsFolder) {
  for (const char* path : {"", "..", "../e1-s1", "a/b", ".hidden"}) {
    v1::Checkpoint checkpoint;
    checkpoint.set_path(path);
    EXPECT_FALSE(from_wire(checkpoint).ok()) << path;
  }
}

TEST(Convert, RefusesNumbersThatAreNone) {
  v1::Progress progress;
  progress.set_tokens_per_second(std::numeric_limits<double>::quiet_NaN());
  EXPECT_FALSE(from_wire(progress).ok());
  progress.set_tokens_per_second(1);
  progress.set_loss(std::numeric_limits<double>::quiet_NaN());  // a diverged run says so
  EXPECT_TRUE(from_wire(progress).ok());
}

TEST(Convert, RepairsTextThatProtobufWouldNotReadBack) {
  const Event event{Seq{1}, 1, 0, JobId{1}, {}, {}, RankGone{0, Outcome::crashed, "a\xFF\xC3"}};
  v1::Event message;
  ASSERT_TRUE(message.ParseFromString(to_wire(event).SerializeAsString()));
  EXPECT_EQ(message.rank_gone().detail(), "a??");
}

TEST(Status, KeepsCodeMessageAndHint) {
  const Error error{Code::not_found, "no job 17", "llmctl ls"};
  EXPECT_EQ(from_status(to_status(error)), error);
  const Error plain{Code::internal, "broken", ""};
  EXPECT_EQ(from_status(to_status(plain)), plain);
}

}  // namespace
}  // namespace llmctl
