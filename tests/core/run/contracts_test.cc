// What programs tell each other: plans, reports, run configs, states, model shapes.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/base/json_reader.h"
#include "core/plan/plan_search.h"
#include "core/run/run_config.h"

namespace llmctl {
namespace {

using nlohmann::json;

JobSpec ten_steps() {
  return parse_spec_json(R"({"model": "llama-1m", "datasets": "a", "max_steps": 10})").value();
}

Event event_of(EventBody body) {
  Event event;
  event.body = std::move(body);
  return event;
}

TEST(Plan, ReadsBackEqual) {
  Plan plan = candidate_plans(ten_steps(), {}).front();
  plan.measured = plan.predicted;
  plan.micro_batch_origin = Origin::measured;
  plan.checkpointing_origin = Origin::preset_default;
  plan.seconds_per_step = 0.25;
  plan.pack_weights = plan.copy_checkpoints = true;
  plan.on_cpu = false;
  EXPECT_EQ(parse_plan(parse_json(to_json(plan).dump(), "plan").value()).value(), plan);
}

TEST(Plan, NamesTheFieldThatIsWrong) {
  json document = to_json(candidate_plans(ten_steps(), {}).front());
  document["micro_batch_size"] = -1;
  EXPECT_NE(parse_plan(document).error().message.find("micro_batch_size"), std::string::npos);
  document["micro_batch_size"] = 18446744073709551615ULL;
  EXPECT_FALSE(parse_plan(document).ok());
  document["micro_batch_size"] = 1.5;
  EXPECT_FALSE(parse_plan(document).ok());
  document["micro_batch_size"] = 1;
  document["micro_batch_origin"] = "guessed";
  EXPECT_FALSE(parse_plan(document).ok());
  EXPECT_FALSE(parse_plan(json::array()).ok());
  EXPECT_FALSE(parse_plan(nullptr).ok());
}

TEST(Plan, MemoryCausesCanAlwaysBeAdded) {
  const json document = {{"parameters", std::numeric_limits<int64_t>::max()}};
  EXPECT_FALSE(parse_memory(document).ok());
}

TEST(Report, LossThatIsNoNumberTravelsAsNull) {
  Progressed progress;
  progress.step = 7;
  progress.loss = std::nan("");
  progress.grad_norm = std::numeric_limits<double>::infinity();
  const std::string line = dump_json(to_report(progress));
  EXPECT_NE(line.find("\"loss\":null"), std::string::npos);
  const Progressed read = parse_progress(parse_json(line, "line").value()).value();
  EXPECT_EQ(read.step, 7);
  EXPECT_TRUE(std::isnan(read.loss));
  EXPECT_TRUE(std::isnan(read.grad_norm));
}

TEST(Report, CheckpointPathsStayInsideTheirFolder) {
  for (const char* path : {"", ".", "..", "../e1-s1", "a/b", "/etc"}) {
    EXPECT_FALSE(parse_checkpoint({{"step", 1}, {"path", path}}).ok()) << path;
  }
  CheckpointCommitted checkpoint{3, 4, "e1-s3", 5, 0.5, "ab"};
  EXPECT_EQ(parse_checkpoint(to_report(checkpoint)).value(), checkpoint);
}

TEST(Report, ExitCodesAndOutcomesAreOneToOne) {
  for (int i = 0; i <= static_cast<int>(Outcome::killed); ++i) {
    const auto outcome = static_cast<Outcome>(i);
    EXPECT_EQ(outcome_of_exit(exit_code(outcome)), outcome) << to_string(outcome);
    EXPECT_EQ(parse_outcome(to_string(outcome)), outcome);
  }
  EXPECT_EQ(outcome_of_exit(134), Outcome::crashed);
  EXPECT_EQ(outcome_of_exit(-1), Outcome::crashed);
}

TEST(RunConfig, ReadsBackEqual) {
  RunConfig config;
  config.mode = "probe";
  config.job_id = 17;
  config.rank = 1;
  config.world_size = 2;
  config.job_dir = "/jobs/17";
  config.resume = {"checkpoints/e2-s100"};
  config.spec = ten_steps();
  config.candidates = candidate_plans(config.spec, {});
  const std::string text = to_json(config).dump();
  EXPECT_EQ(to_json(parse_run_config(text).value()).dump(), text);
}

TEST(RunConfig, RefusesRanksOutsideTheWorldAndUnknownModes) {
  RunConfig config;
  config.job_dir = "/jobs/1";
  config.spec = ten_steps();
  const auto refused = [&](const char* field, const json& value) {
    json document = to_json(config);
    document[field] = value;
    return !parse_run_config(document.dump()).ok();
  };
  EXPECT_TRUE(refused("rank", 1));
  EXPECT_TRUE(refused("rank", -1));
  EXPECT_TRUE(refused("world_size", 0));
  EXPECT_TRUE(refused("mode", "serve"));
  EXPECT_TRUE(refused("resume", "e1-s1"));
  EXPECT_TRUE(refused("candidates", json::array({1})));
  EXPECT_TRUE(refused("spec", json::object()));
  EXPECT_FALSE(refused("a_field_of_a_newer_version", 1));
}

TEST(JobState, NamesReadBack) {
  for (int i = 0; i <= static_cast<int>(JobState::canceled); ++i) {
    const auto state = static_cast<JobState>(i);
    EXPECT_EQ(parse_job_state(to_string(state)), state);
  }
  for (int i = 0; i <= static_cast<int>(Reason::not_understood); ++i) {
    const auto reason = static_cast<Reason>(i);
    EXPECT_EQ(parse_reason(to_string(reason)), reason);
  }
  EXPECT_FALSE(parse_job_state("queued").has_value());
}

TEST(Event, OnlyHeartbeatsRankUpsAndProgressAreVolatile) {
  EXPECT_TRUE(is_durable(event_of(JobMoved{})));
  EXPECT_FALSE(is_durable(event_of(Progressed{})));
  EXPECT_STREQ(event_name(event_of(JobMoved{})), "JobMoved");
  EXPECT_STREQ(event_name(event_of(Progressed{})), "Progressed");
}

TEST(Event, MoveIsOneLineWithReasonAndEvidence) {
  const JobMoved moved{JobState::running, JobState::recovering, Reason::rank_crashed,
                       "rank 1: signal 9", 1'000};
  EXPECT_EQ(describe(event_of(moved)),
            "RUNNING -> RECOVERING (rank_crashed), waits 1s: rank 1: signal 9");
}

}  // namespace
}  // namespace llmctl
