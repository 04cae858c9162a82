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

// Whether `wrong` leads to a problem with these words in one of the first seeds.
bool caught(const Decide& wrong, const std::string& words) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    for (const std::string& problem : history(seed, wrong)) {
      if (problem.find(words) != std::string::npos) return true;
    }
  }
  return false;
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

// Takes whoever has a worker's name for that worker, and a late hello for news.
Decision trusts_names(const State& state, const Input& input, const SchedulerConfig& config) {
  Input changed = input;
  if (auto* hello = std::get_if<HelloInput>(&changed.body)) {
    hello->inventory.place.clear();
    hello->made_boot_ms = 0;
  }
  return decide(state, changed, config);
}

// Does not know that machines may have jobs folders of their own.
Decision forgets_folders(const State& state, const Input& input, const SchedulerConfig& config) {
  Input changed = input;
  auto* hello = std::get_if<HelloInput>(&changed.body);
  if (hello != nullptr) hello->inventory.jobs_folder.clear();
  return decide(state, changed, config);
}

// Gives workers up for what it could not hear while it was stopped itself.
Decision blames_others(const State& state, const Input& input, const SchedulerConfig& config) {
  Input changed = input;
  if (auto* tick = std::get_if<TickInput>(&changed.body)) tick->awake_since_boot_ms = 0;
  return decide(state, changed, config);
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
  EXPECT_TRUE(caught(ignores_epochs, ""));
}
TEST(Checker, SeesASchedulerThatForgetsKeys) {
  EXPECT_TRUE(caught(forgets_keys, "key"));
}
TEST(Checker, SeesASchedulerThatGivesWorkersUpTooEarly) {
  EXPECT_TRUE(caught(is_impatient, "run at the same time"));
}
TEST(Checker, SeesASchedulerThatPlacesBesideDyingRanks) {
  EXPECT_TRUE(caught(forgets_leftovers, "share a device"));
}
TEST(Checker, SeesASchedulerThatTrustsNames) {
  EXPECT_TRUE(caught(trusts_names, ""));
}
TEST(Checker, SeesASchedulerThatForgetsFolders) {
  EXPECT_TRUE(caught(forgets_folders, "no checkpoint is left"));
}
TEST(Checker, SeesASchedulerThatBlamesOthersForItsOwnSilence) {
  EXPECT_TRUE(caught(blames_others, "own silence"));
}
TEST(Checker, SeesHalfAGang) {
  EXPECT_TRUE(caught(grants_half_gangs, "ranks"));
}
TEST(Checker, SeesAJobThatNeverEnds) {
  EXPECT_TRUE(caught(never_places, "has not ended"));
}

}  // namespace llmctl::sim
