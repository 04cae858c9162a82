// The promises hold in 500 random histories, and the checkers see a scheduler that breaks them.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "world.h"

namespace llmctl::sim {
namespace {

std::vector<std::string> history(uint64_t seed, Decide decide = nullptr) {
  Options options;
  options.seed = seed;
  options.decide = std::move(decide);
  World world(options);
  world.run();
  return world.problems();
}

// The first problem that `wrong` leads to in some of the first seeds.
std::string caught(const Decide& wrong) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const std::vector<std::string> problems = history(seed, wrong);
    if (!problems.empty()) return problems.front();
  }
  return "";
}

void believe(const State& state, JobId job, Epoch& epoch) {
  const auto live = state.jobs.find(job);
  if (live != state.jobs.end()) epoch = live->second.epoch;
}

// Takes whatever a worker says for the newest attempt.
Decision ignores_epochs(const State& state, const Input& input, const SchedulerConfig& config) {
  Input changed = input;
  if (auto* report = std::get_if<ReportInput>(&changed.body)) {
    believe(state, report->job, report->epoch);
  } else if (auto* heartbeat = std::get_if<HeartbeatInput>(&changed.body)) {
    for (RunStatus& run : heartbeat->runs) believe(state, run.job, run.epoch);
  }
  return decide(state, changed, config);
}

Decision forgets_keys(const State& state, const Input& input, const SchedulerConfig& config) {
  State forgetful = state;
  forgetful.keys.clear();
  return decide(forgetful, input, config);
}

// Gives workers up long before their own lease has passed.
Decision is_impatient(const State& state, const Input& input, const SchedulerConfig& config) {
  SchedulerConfig hasty = config;
  hasty.lease_ms = hasty.grace_ms = 300;
  return decide(state, input, hasty);
}

// Takes a worker that came back for empty while the ranks of its past still die.
Decision forgets_leftovers(const State& state, const Input& input, const SchedulerConfig& config) {
  Decision decision = decide(state, input, config);
  for (Event& event : decision.events) {
    if (auto* seen = std::get_if<WorkerSeen>(&event.body)) seen->leftovers.clear();
  }
  return decision;
}

Decision grants_half_gangs(const State& state, const Input& input, const SchedulerConfig& config) {
  Decision decision = decide(state, input, config);
  for (Event& event : decision.events) {
    auto* granted = std::get_if<AttemptGranted>(&event.body);
    if (granted != nullptr && granted->grants.size() > 1) granted->grants.pop_back();
  }
  return decision;
}

Decision never_places(const State& state, const Input& input, const SchedulerConfig& config) {
  if (std::holds_alternative<TickInput>(input.body)) return {};
  return decide(state, input, config);
}

}  // namespace

TEST(Simulation, ThePromisesHoldInEveryHistory) {
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    const std::vector<std::string> problems = history(seed);
    ASSERT_TRUE(problems.empty()) << problems.front() << "\nagain: sim_main --seed " << seed
                                  << " --verbose";
  }
}

TEST(Simulation, TheSameSeedGivesTheSameHistory) {
  const auto last_seq = [] {
    Options options;
    options.seed = 7;
    World world(options);
    world.run();
    return std::pair(world.now(), world.scheduler().log());
  };
  EXPECT_EQ(last_seq(), last_seq());
}

TEST(Checker, SeesASchedulerThatIgnoresEpochs) {
  EXPECT_NE(caught(ignores_epochs), "");
}
TEST(Checker, SeesASchedulerThatForgetsKeys) {
  EXPECT_NE(caught(forgets_keys).find("key"), std::string::npos);
}
TEST(Checker, SeesASchedulerThatGivesWorkersUpTooEarly) {
  EXPECT_NE(caught(is_impatient).find("run at the same time"), std::string::npos);
}
TEST(Checker, SeesASchedulerThatPlacesBesideDyingRanks) {
  EXPECT_NE(caught(forgets_leftovers).find("share a device"), std::string::npos);
}
TEST(Checker, SeesHalfAGang) {
  EXPECT_NE(caught(grants_half_gangs).find("ranks"), std::string::npos);
}
TEST(Checker, SeesAJobThatNeverEnds) {
  EXPECT_NE(caught(never_places).find("has not ended"), std::string::npos);
}

}  // namespace llmctl::sim
