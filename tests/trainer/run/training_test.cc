// Training runs of the real program: ended, killed, stopped, resumed, on one rank and on two.
#include <sys/mount.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/plan/memory_model.h"
#include "tests/trainer/run/training_fixture.h"

namespace llmctl {
namespace {

TEST_F(Training, LearnsAndTellsEverythingOnTheWay) {
  RunConfig run = config("job", 60);
  run.spec.learning_rate = 3e-3;
  run.spec.val_set_size = 0.1;
  run.spec.datasets.clear();
  for (int i = 0; i < 20; ++i) {
    const fs::path file = scratch_.path() / ("part" + std::to_string(i) + ".txt");
    write_file(file, some_text());
    run.spec.datasets.push_back({file});
  }
  run.spec.sample_prompt = "loss ";
  TrainerProcess process(run, run_directory());
  ASSERT_EQ(process.wait_exit(), 0);
  const auto steps = process.lines("step");
  ASSERT_GE(steps.size(), 2u);
  EXPECT_EQ(steps.back()["step"], 60);
  EXPECT_EQ(steps.back()["steps"], 60);
  EXPECT_EQ(steps.back()["tokens"], 60 * 8 * 32);
  EXPECT_LT(steps.back()["loss"], 2.5);
  EXPECT_EQ(process.lines("up").size(), 1u);
  EXPECT_EQ(process.lines("memory").size(), 1u);
  ASSERT_EQ(process.lines("eval").size(), 1u);
  EXPECT_LT(process.lines("eval")[0]["loss"], 2.5);
  ASSERT_EQ(process.lines("checkpoint").size(), 1u);
  EXPECT_EQ(process.lines("checkpoint")[0]["step"], 60);
  EXPECT_GT(process.lines("checkpoint")[0]["seconds"], 0);
  EXPECT_GT(steps.back()["mfu"], 0);
  for (const char* phase : {"data", "compute", "optimizer", "checkpoint", "eval"}) {
    EXPECT_GT(steps.back()["phase_seconds"][phase], 0) << phase;
  }
  ASSERT_EQ(process.lines("sample").size(), 1u);
  EXPECT_GT(process.lines("sample")[0]["text"].get<std::string>().size(), 20u);
  EXPECT_EQ(process.lines("sample")[0]["step"], 60);
  EXPECT_EQ(process.lines().back()["outcome"], "done");

  const std::string generate = "'" LLMCTL_BIN_DIR "/llmctl-trainer' generate " +
                               checkpoints(run).front().path.string() +
                               " --prompt 'loss ' --max-tokens 30 --temperature 0";
  const ProgramOutput first = run_program(generate), again = run_program(generate);
  EXPECT_EQ(first.code, 0);
  EXPECT_GT(first.out.size(), 20u);
  EXPECT_EQ(first.out, again.out);
}

// What the run reaches is told against what was measured, however little that was.
TEST_F(Training, TellsMfuAgainstTheRoofThatWasMeasured) {
  RunConfig run = config("job", 4);
  run.plan.device_flops = 1;
  TrainerProcess process(run, run_directory());
  ASSERT_EQ(process.wait_exit(), 0);
  EXPECT_GT(process.lines("step").back()["mfu"], 1e3);
}

TEST_F(Training, KilledAtAnyMomentResumesBitForBit) {
  const RunConfig run = config("killed", 40);
  expect_same_bits_after_kills(run, {3, 13, 22, 31});
  EXPECT_LE(checkpoints(run).size(), 2u) << "save_total_limit is 2";
}

TEST_F(Training, SavesTheSameWhetherItWaitsOrNot) {
  RunConfig waits = config("waits", 20);
  waits.spec.save_steps = 3;
  waits.spec.async_checkpoints = false;
  RunConfig goes_on = config("goes_on", 20);
  goes_on.spec.save_steps = 3;
  plan(goes_on);
  EXPECT_TRUE(weights_after(waits) == weights_after(goes_on));
  const auto want = checkpoints(waits), got = checkpoints(goes_on);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[1].step, 18);
  EXPECT_EQ(read_file(got[1].path / "rank-0.safetensors"),
            read_file(want[1].path / "rank-0.safetensors"))
      << "the copy changed while it was written";
}

TEST_F(Training, WaitsForCheckpointsWhenNoCopyFits) {
  RunConfig roomy = config("roomy", 20), tight = config("tight", 20);
  roomy.spec.save_steps = tight.spec.save_steps = 6;
  roomy.spec.pack_weights = tight.spec.pack_weights = false;
  const Bytes copy = checkpoint_copy_bytes(tight.spec);
  plan(roomy);
  tight.memory_cap_bytes = roomy.plan.peak_bytes_predicted - 1;
  plan(tight);
  std::map<std::string, Bytes> peak;
  for (const RunConfig& run : {roomy, tight}) {
    TrainerProcess process(run, run_directory());
    ASSERT_EQ(process.wait_exit(), 0);
    peak[run.spec.name] = process.lines("memory").front()["peak_bytes"];
    EXPECT_EQ(process.lines("checkpoint").size(), 4u);
  }
  EXPECT_GE(peak["roomy"] - peak["tight"], copy * 9 / 10);
  EXPECT_TRUE(weights(roomy) == weights(tight));
}

TEST_F(Training, GoesOnWithoutTheCheckpointsThatFindNoRoomOnTheDisk) {
  RunConfig run = config("job", 20);
  run.spec.save_steps = 6;
  plan(run);
  const fs::path small = fs::path(run.job_dir) / "checkpoints";
  fs::create_directories(small);
  if (::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=256k") != 0) {
    GTEST_SKIP() << "mounting a tmpfs needs root";
  }
  TrainerProcess process(run, run_directory());
  EXPECT_EQ(process.wait_exit(), exit_code(Outcome::storage_full)) << "the last one must be there";
  ::umount2(small.c_str(), MNT_DETACH);
  EXPECT_EQ(process.lines("step").back()["step"], 20);
  int64_t refused = 0;
  for (const auto& line : process.lines("phase")) {
    refused += line["phase"].get<std::string>().starts_with("no checkpoint: ") ? 1 : 0;
  }
  EXPECT_GE(refused, 1) << "written in the background, and nobody heard of it";
  EXPECT_TRUE(process.lines("checkpoint").empty());
}

TEST_F(Training, GoesOnUnderAnotherPlanWithTheSameBatches) {
  RunConfig run = config("job", 12);
  run.spec.lr_scheduler = "constant";
  RunConfig calm = run;
  calm.job_dir = scratch_.path() / "calm";
  calm.spec.max_steps = 20;
  TrainerProcess undisturbed(calm, run_directory());
  ASSERT_EQ(undisturbed.wait_exit(), 0);
  weights_after(run);
  run.spec.max_steps = 20;
  run.plan.micro_batch_size = 2;
  run.plan.gradient_accumulation_steps = 4;
  run.plan.gradient_checkpointing = Checkpointing::block;
  TrainerProcess process(run, run_directory());
  ASSERT_EQ(process.wait_exit(), 0);
  const auto got = process.lines("step").back(), want = undisturbed.lines("step").back();
  EXPECT_EQ(got["tokens"], want["tokens"]);
  EXPECT_NEAR(got["loss"].get<double>(), want["loss"].get<double>(), 1e-4);
}

TEST_F(Training, StopsEarlyAndKeepsTheBestCheckpoint) {
  RunConfig run = config("job", 500);
  run.spec.datasets.clear();
  for (int i = 0; i < 20; ++i) {
    const fs::path file = scratch_.path() / ("part" + std::to_string(i) + ".txt");
    write_file(file, some_text());
    run.spec.datasets.push_back({file});
  }
  run.spec.val_set_size = 0.1;
  run.spec.eval_steps = 4;
  run.spec.save_steps = 1;
  run.spec.save_best = true;
  plan(run);
  run.spec.early_stopping_patience = 3;
  run.spec.lr_scheduler = "constant";
  run.spec.learning_rate = 1e-12;  // evaluations differ in their last bits at most
  TrainerProcess process(run, run_directory());
  ASSERT_EQ(process.wait_exit(), 0);
  const auto kept = checkpoints(run);
  ASSERT_EQ(kept.size(), 3u);  // save_total_limit is 2
  const int64_t best = kept.back().step, last = kept.front().step;
  EXPECT_EQ(last, best + 3 * 4) << "it ends with the third evaluation that is no better";
  EXPECT_EQ(kept.front().state["best_step"], best);
  double lowest = 100;
  int64_t lowest_step = 0;
  for (const auto& line : process.lines("eval")) {
    if (line["loss"] < lowest) lowest_step = line["step"];
    lowest = std::min(lowest, line["loss"].get<double>());
  }
  EXPECT_EQ(best, lowest_step);
}

TEST_F(Training, AskedToLeaveSavesAndGoesOnLaterBitForBit) {
  const std::string undisturbed = weights_after(config("calm", 400));
  const RunConfig run = config("left", 400);
  {
    TrainerProcess process(run, run_directory());
    ASSERT_TRUE(process.wait_step(5));
    process.signal(SIGTERM);
    EXPECT_EQ(process.wait_exit(), exit_code(Outcome::left));
    EXPECT_EQ(process.lines().back()["outcome"], "left");
    ASSERT_EQ(process.lines("checkpoint").size(), 1u);
    EXPECT_LT(process.lines("checkpoint")[0]["step"], 400);
  }
  TrainerProcess rest(run, run_directory());
  EXPECT_EQ(rest.wait_exit(), 0);
  EXPECT_TRUE(weights(run) == undisturbed);
}

TEST_F(Training, SavesWhenAskedAndTrainsOn) {
  TrainerProcess process(config("job", 3000), run_directory());
  ASSERT_TRUE(process.wait_step(2));
  process.signal(SIGUSR1);
  EXPECT_TRUE(process.wait_line([](const auto& line) { return line["type"] == "checkpoint"; }));
  const int64_t saved = process.lines("checkpoint")[0]["step"];
  EXPECT_TRUE(process.wait_step(saved + 2));
}

TEST_F(Training, RanksWithOtherDataAtTheSamePathsSayWhich) {
  RunConfig first = config("gang", 10);
  first.world_size = 2;
  first.master_port = free_port();
  first.spec.resources.ranks = 2;
  plan(first);
  RunConfig second = first;
  second.rank = 1;
  second.cache_dir = scratch_.path() / "cache-of-another-worker";
  write_file(scratch_.path() / "other.txt", some_text() + "one more line\n");
  second.spec.datasets = {{scratch_.path() / "other.txt"}};
  TrainerProcess process0(first, run_directory()), process1(second, run_directory());
  for (TrainerProcess* process : {&process0, &process1}) {
    EXPECT_EQ(process->wait_exit(), exit_code(Outcome::bad_input));
    const std::string detail = process->lines("end").front()["detail"];
    EXPECT_TRUE(detail.starts_with("rank 1 has other data")) << detail;
  }
}

TEST_F(Training, ARankSaysWhyItCannotMeetTheOthers) {
  RunConfig late = config("gang", 10);
  late.world_size = 2;
  late.master_port = free_port();
  late.spec.resources.ranks = 2;
  plan(late);
  RunConfig lost = late;
  lost.rank = 1;
  TrainerProcess refused(lost, run_directory());
  const auto says = [](const char* text) {
    return [text](const nlohmann::json& line) {
      return line["type"] == "phase" && std::string(line["phase"]).find(text) != std::string::npos;
    };
  };
  EXPECT_TRUE(refused.wait_line(says("Connection refused")));
  TrainerProcess first(late, run_directory());  // only late: they meet after all
  EXPECT_TRUE(first.wait_line([](const nlohmann::json& line) { return line["type"] == "up"; }));
  refused.signal(SIGKILL);
  first.signal(SIGKILL);

  lost.master_addr = "no-such-host.invalid";
  TrainerProcess nameless(lost, run_directory());
  EXPECT_TRUE(nameless.wait_line(says("cannot resolve no-such-host.invalid")));
}

// Six passes of two sequences, on one rank or shared by several.
RunConfig six_passes(RunConfig run) {
  run.spec.global_batch_size = 12;
  run.spec.micro_batch_size = 2;
  run.plan = candidate_plans(run.spec, {}).front();
  EXPECT_EQ(run.plan.gradient_accumulation_steps, 6);
  return run;
}

TEST_F(Training, RanksGiveTheWeightsOfOneWithAccumulation) {
  const RunConfig alone = six_passes(config("alone", 10));
  weights_after(alone);
  for (const int32_t ranks : {2, 3}) {
    const RunConfig gang = six_passes(config("gang" + std::to_string(ranks), 10));
    run_gang(gang, ranks);
    expect_close_weights(alone, gang);
  }
}

// A rank dies in each attempt, once it was saved what the next one resumes from; its peers cannot
// go on, and the whole gang begins again.
TEST_F(Training, AGangWhoseRanksAreKilledResumesBitForBit) {
  constexpr int32_t kRanks = 3;
  RunConfig calm = six_passes(config("calm", 150)), run = six_passes(config("killed", 150));
  run.spec.save_steps = 5;
  run_gang(calm, kRanks);
  int64_t saved = 0;
  for (const size_t victim : {2, 0}) {
    const Gang gang = start_gang(run, kRanks);
    ASSERT_TRUE(gang[0]->wait_line([&](const auto& line) {
      return line["type"] == "checkpoint" && line["step"] > saved;  // not that it resumed from
    }));
    gang[victim]->signal(SIGKILL);
    for (const auto& rank : gang) EXPECT_NE(rank->wait_exit(), 0);
    const auto steps = gang[0]->lines("step");
    ASSERT_FALSE(steps.empty());
    EXPECT_GT(steps.front()["step"], saved) << "it began anew";
    saved = gang[0]->lines("checkpoint").back()["step"];
    ++run.epoch;
  }
  run_gang(run, kRanks);
  EXPECT_TRUE(weights(run) == weights(calm)) << "the resumed gang ended with other bits";
}

TEST_F(Training, RanksThatFoundDifferentCheckpointsDoNotTrain) {
  RunConfig run = config("job", 6);
  weights_after(run);
  run.spec.max_steps = 12;
  run.spec.resources.ranks = run.world_size = 2;
  run.plan.gradient_accumulation_steps = 1;
  run.master_port = free_port();
  ++run.epoch;
  RunConfig other = run;
  other.rank = 1;
  other.resume_scan = false;  // as if the job's folder were not mounted there
  other.job_dir = scratch_.path() / "elsewhere";
  TrainerProcess first(run, run_directory()), second(other, run_directory());
  EXPECT_NE(first.wait_exit(), 0);
  EXPECT_NE(second.wait_exit(), 0);
  for (const TrainerProcess* rank : {&first, &second}) {
    EXPECT_NE(rank->lines().back()["detail"].get<std::string>().find("different checkpoints"),
              std::string::npos)
        << rank->lines().back();
  }
}

TEST_F(Training, FineTuningCountsOnlyAnswersAndResumesBitForBit) {
  const RunConfig run = chats("killed", 30);
  expect_same_bits_after_kills(run, {8, 20});
  ASSERT_FALSE(checkpoints(run).empty());
  const int64_t rows = 30 * 8 * 32, learned = checkpoints(run).front().state["tokens"];
  EXPECT_LT(learned, rows / 2);
  EXPECT_GT(learned, rows / 20);
}

// Micro-batches and ranks hold different numbers of answers; the loss is the mean over all of them.
TEST_F(Training, AnswersCountTheSameHoweverTheBatchIsCut) {
  RunConfig whole = chats("whole", 10), passes = chats("passes", 10);
  whole.spec.micro_batch_size = 8;
  whole.plan = candidate_plans(whole.spec, {}).front();
  passes.spec.micro_batch_size = 1;
  passes.plan = candidate_plans(passes.spec, {}).front();
  ASSERT_EQ(passes.plan.gradient_accumulation_steps, 8);
  weights_after(whole);
  weights_after(passes);
  expect_close_weights(whole, passes);

  const RunConfig gang = chats("gang", 10);
  run_gang(gang, 2);
  expect_close_weights(whole, gang);
}

TEST_F(Training, WaitsWhileItsLeaseHasPassed) {
  const fs::path directory = run_directory();
  const auto write_lease = [&](Millis until) {
    char bytes[8];
    std::memcpy(bytes, &until, sizeof bytes);
    write_file(directory / "lease", {bytes, sizeof bytes});
  };
  write_lease(1);
  TrainerProcess process(config("job", 5), directory);
  ASSERT_TRUE(process.wait_line([](const auto& line) { return line["type"] == "up"; }));
  usleep(300'000);
  EXPECT_TRUE(process.lines("step").empty()) << "it stepped without a lease";
  write_lease(SystemClock().boot_ms() + 3'600'000);
  EXPECT_EQ(process.wait_exit(), 0);
  EXPECT_EQ(process.lines("step").back()["step"], 5);
}

TEST_F(Training, GivesUpAfterTooManyStepsThatAreNotFinite) {
  RunConfig run = config("job", 50);
  run.spec.learning_rate = 1e14;  // with this decay weights overflow within a few steps
  run.spec.weight_decay = 10;
  run.spec.nonfinite_limit = 4;
  TrainerProcess process(run, run_directory());
  EXPECT_EQ(process.wait_exit(), exit_code(Outcome::nonfinite));
  EXPECT_EQ(process.lines("step").back()["nonfinite_steps"], 4);
  EXPECT_TRUE(process.lines("checkpoint").empty());
}

TEST_F(Training, SaysWhenItRunsOutOfMemory) {
  RunConfig run = config("job", 5);
  run.memory_cap_bytes = 2 << 20;
  TrainerProcess process(run, run_directory());
  EXPECT_EQ(process.wait_exit(), exit_code(Outcome::oom));
  EXPECT_NE(process.lines().back()["detail"].get<std::string>().find("cap 2.0 MiB"),
            std::string::npos);
}

TEST_F(Training, RefusesToGoOnWithOtherText) {
  const RunConfig run = config("job", 5);
  weights_after(run);
  write_file(scratch_.path() / "text.txt", some_text() + "more");
  RunConfig longer = run;
  longer.spec.max_steps = 10;
  TrainerProcess process(longer, run_directory());
  EXPECT_EQ(process.wait_exit(), exit_code(Outcome::bad_input));
}

// Whoever made the last checkpoints was cut off before anybody heard of them.
TEST_F(Training, TellsOfTheCheckpointItContinuesFrom) {
  RunConfig run = config("job", 12);
  weights_after(run);
  const Checkpoint last = std::move(checkpoints(run).front());
  run.resume_scan = false;
  run.resume = {"checkpoints/e1-s6"};  // what the scheduler believes
  TrainerProcess process(run, run_directory());
  ASSERT_EQ(process.wait_exit(), 0);
  const auto told = process.lines("checkpoint");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0]["path"], last.path.filename().string());
  EXPECT_EQ(told[0]["step"], 12);
  EXPECT_EQ(told[0]["bytes"], last.bytes);
  EXPECT_EQ(told[0]["manifest_hash"], last.manifest_hash);
}

// The first checkpoint was committed while nobody listened: the scheduler names none.
TEST_F(Training, ContinuesFromACheckpointThatTheSchedulerNeverHeardOf) {
  RunConfig run = config("job", 12);
  run.cluster_id = "ours";
  run.resume_scan = false;
  weights_after(run);
  ++run.epoch;
  TrainerProcess process(run, run_directory());
  ASSERT_EQ(process.wait_exit(), 0);
  const auto told = process.lines("checkpoint");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0]["path"], "e1-s12") << "it began anew";
}

TEST_F(Training, ContinuesFromTheNewestOfTheFolderNotFromTheNewestThatIsKnown) {
  RunConfig run = config("job", 12);
  run.spec.save_steps = 6;
  weights_after(run);
  ASSERT_EQ(checkpoints(run).size(), 2u);
  run.resume_scan = false;
  run.resume = {"checkpoints/e1-s6"};
  ++run.epoch;
  TrainerProcess process(run, run_directory());
  ASSERT_EQ(process.wait_exit(), 0);
  const auto told = process.lines("checkpoint");
  ASSERT_EQ(told.size(), 1u) << "steps were made twice";
  EXPECT_EQ(told[0]["path"], "e1-s12");
}

// A new store gives job numbers again, over a folder of jobs that another one filled.
TEST_F(Training, TouchesNothingInAFolderOfAnotherCluster) {
  RunConfig theirs = config("job", 12);
  weights_after(theirs);
  const fs::path checkpoint = checkpoints(theirs).front().path;
  RunConfig ours = config("job", 5);
  ours.cluster_id = "ours";
  ours.resume_scan = false;
  ours.resume = {"../7/checkpoints/e1-s5"};  // a retry knows those of the job before it
  for (const char* owner : {"", "theirs\n"}) {
    if (*owner != '\0') write_file(fs::path(ours.job_dir) / "cluster", owner);
    TrainerProcess process(ours, run_directory());
    EXPECT_EQ(process.wait_exit(), exit_code(Outcome::bad_input));
    EXPECT_NE(process.lines().back()["detail"].get<std::string>().find("--jobs-dir"),
              std::string::npos);
    EXPECT_TRUE(fs::exists(checkpoint));
  }
}

TEST_F(Training, FallsBackFromACorruptCheckpoint) {
  RunConfig run = config("job", 12);
  run.spec.lr_scheduler = "constant";
  RunConfig calm = config("calm", 20);
  calm.spec.lr_scheduler = "constant";
  const std::string undisturbed = weights_after(calm);
  run.spec.save_steps = 6;
  weights_after(run);
  const fs::path newest = checkpoints(run).front().path;
  std::string bytes = read_file(newest / "rank-0.safetensors");
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(newest / "rank-0.safetensors", bytes);
  run.spec.max_steps = 20;
  TrainerProcess process(run, run_directory());
  EXPECT_EQ(process.wait_exit(), 0);
  EXPECT_TRUE(weights(run) == undisturbed);
  ASSERT_FALSE(process.lines("checkpoint_removed").empty());
  EXPECT_EQ(process.lines("checkpoint_removed")[0]["corrupt"], true);
}

std::string phases(const TrainerProcess& process) {
  std::string all;
  for (const auto& line : process.lines("phase")) all += line["phase"].get<std::string>() + "\n";
  return all;
}

TEST_F(Training, ContinuesFromAnExportAndFromACheckpointAtTheirEvalLoss) {
  RunConfig first = config("first", 30);
  first.spec.val_set_size = 0.2;
  first.spec.datasets = {{scratch_.path() / "parts" / "*.txt"}};
  for (int i = 0; i < 5; ++i) {
    write_file(scratch_.path() / "parts" / (std::to_string(i) + ".txt"), some_text());
  }
  TrainerProcess trained(first, run_directory());
  ASSERT_EQ(trained.wait_exit(), 0);
  const double learned = trained.lines("eval").back()["loss"];
  const fs::path checkpoint = checkpoints(first).front().path, exported = scratch_.path() / "hf";
  ASSERT_EQ(run_program("'" LLMCTL_BIN_DIR "/llmctl-trainer' convert " + checkpoint.string() + " " +
                        exported.string())
                .code,
            0);
  for (const fs::path& base : {exported, checkpoint}) {
    RunConfig next = first;
    next.job_dir = scratch_.path() / ("next-" + base.filename().string());
    next.spec.model.path = base;
    next.spec.max_steps = 1;
    next.spec.learning_rate = 1e-12;  // what it ends with is what it began with
    TrainerProcess process(next, run_directory());
    ASSERT_EQ(process.wait_exit(), 0);
    EXPECT_NE(phases(process).find("load weights of " + base.string()), std::string::npos);
    EXPECT_NEAR(process.lines("eval").back()["loss"], learned, 1e-5 * learned) << base;
  }
}

TEST_F(Training, ADirectoryWithoutWeightsIsOnlyAShape) {
  RunConfig run = config("job", 2);
  run.spec.model.path = scratch_.path() / "shape";
  write_file(scratch_.path() / "shape" / "config.json",
             to_hf_config(run.spec.model.config)->dump());
  TrainerProcess process(run, run_directory());
  ASSERT_EQ(process.wait_exit(), 0);
  EXPECT_NE(phases(process).find("initialize: " + run.spec.model.path + " has no weights"),
            std::string::npos);
}

TEST_F(Training, WeightsOfAnotherShapeOrGoneAreBadInput) {
  RunConfig first = config("first", 2);
  weights_after(first);
  RunConfig next = config("next", 2);
  next.spec.model.path = checkpoints(first).front().path;
  next.spec.model.config.intermediate_size = 128;
  TrainerProcess other(next, run_directory());
  EXPECT_EQ(other.wait_exit(), exit_code(Outcome::bad_input));
  EXPECT_NE(other.lines().back()["detail"].get<std::string>().find(
                "\"model.layers.0.mlp.gate_proj.weight\" has another shape in it"),
            std::string::npos)
      << other.lines().back();
  next.spec.model.path = scratch_.path() / "gone";
  TrainerProcess gone(next, run_directory());
  EXPECT_EQ(gone.wait_exit(), exit_code(Outcome::bad_input));
}

}  // namespace
}  // namespace llmctl
