// The supervisor with real processes: whatever a trainer does, its end is told, its output is
// bounded and nothing of it stays behind.
#include <signal.h>

#include <fstream>

#include "core/run/run_config.h"
#include "tests/worker/workplace.h"
#include "worker/spawn/supervise.h"

namespace llmctl::worker {
namespace {

namespace fs = std::filesystem;

TEST(Supervise, TheLastEndLineIsTheOutcome) {
  Workplace work;
  work.script(R"(echo '{"type":"end","outcome":"done","detail":"first"}'
echo '{"type":"end","outcome":"oom","detail":"asked for 6 GiB"}'; exit 3)");
  work.start();
  const ExitFile exit = work.wait_exit();
  EXPECT_EQ(exit.outcome, Outcome::oom);
  EXPECT_EQ(exit.detail, "asked for 6 GiB");
  EXPECT_EQ(exit.code, 3);
}

TEST(Supervise, WithoutAnEndLineTheExitCodeIsTheOutcome) {
  for (const Outcome outcome : {Outcome::done, Outcome::left, Outcome::oom, Outcome::bad_input,
                                Outcome::storage_full, Outcome::crashed}) {
    Workplace work;
    work.script("exit " + std::to_string(exit_code(outcome)));
    work.start();
    EXPECT_EQ(work.wait_exit().outcome, outcome) << to_string(outcome);
  }
}

TEST(Supervise, ASignalIsACrashWithTheLastWords) {
  Workplace work;
  work.script("echo 'assertion failed: x > 0' >&2; kill -SEGV $$");
  work.start();
  const ExitFile exit = work.wait_exit();
  EXPECT_EQ(exit.outcome, Outcome::crashed);
  EXPECT_EQ(exit.signal, SIGSEGV);
  EXPECT_NE(exit.detail.find("signal 11"), std::string::npos) << exit.detail;
  EXPECT_NE(exit.detail.find("assertion failed: x > 0"), std::string::npos) << exit.detail;
}

TEST(Supervise, AProgramThatCannotStartIsSpawnFailed) {
  Workplace work;
  work.start();
  const ExitFile exit = work.wait_exit();
  EXPECT_EQ(exit.outcome, Outcome::spawn_failed);
  EXPECT_NE(exit.detail.find("trainer"), std::string::npos) << exit.detail;
}

TEST(Supervise, AFloodOfLogStaysWithinTwoFiles) {
  Workplace work;
  work.script(R"(head -c 200000000 /dev/zero | tr '\0' x >&2; echo the end >&2)");
  work.start();
  EXPECT_EQ(work.wait_exit().outcome, Outcome::done);
  const auto newest = fs::file_size(work.run_path() / "log.txt");
  const auto older = fs::file_size(work.run_path() / "log.1.txt");
  EXPECT_LE(newest, static_cast<uintmax_t>(limits::kLogFileBytes));
  EXPECT_LE(older, static_cast<uintmax_t>(limits::kLogFileBytes));
  EXPECT_GT(newest + older, static_cast<uintmax_t>(limits::kLogFileBytes));
  EXPECT_TRUE(work.text("log.txt").ends_with("the end\n"));
}

TEST(Supervise, AFloodOfReportsStaysWithinTwoFilesAndEndsWithTheLast) {
  Workplace work;
  work.script(R"(yes '{"type":"phase","phase":"flood"}' | head -n 1500000
echo '{"type":"checkpoint","step":3,"path":"e1-s3"}')");
  work.start();
  EXPECT_EQ(work.wait_exit().outcome, Outcome::done);
  EXPECT_LE(fs::file_size(work.run_path() / "report.jsonl"),
            static_cast<uintmax_t>(limits::kLogFileBytes));
  ASSERT_GE(work.seen.size(), 2U);
  const auto& last = work.seen[work.seen.size() - 2].what;
  ASSERT_TRUE(std::holds_alternative<ReportLine>(last));
  EXPECT_TRUE(std::holds_alternative<CheckpointCommitted>(std::get<ReportLine>(last)));
}

TEST(Supervise, ALineWithoutEndIsDroppedAndTheNextIsRead) {
  Workplace work;
  work.script(R"(head -c 3000000 /dev/zero | tr '\0' x; echo
echo '{"type":"up","pid":5}'; printf 'no newline')");
  work.start();
  EXPECT_EQ(work.wait_exit().outcome, Outcome::done);
  ASSERT_EQ(work.seen.size(), 2U) << "one line and the exit";
  EXPECT_TRUE(std::holds_alternative<UpLine>(std::get<ReportLine>(work.seen[0].what)));
}

TEST(Supervise, BinaryOutputIsNotAReport) {
  Workplace work;
  work.script(R"(head -c 500000 /dev/urandom; echo; head -c 100000 /dev/urandom >&2
echo '{"type":"end","outcome":"done","detail":"still here"}')");
  work.start();
  EXPECT_EQ(work.wait_exit().detail, "still here");
}

TEST(Supervise, SigtermIsPassedOnAndTheTrainerLeaves) {
  Workplace work;
  work.script(R"(trap 'echo "{\"type\":\"end\",\"outcome\":\"left\",\"detail\":\"\"}"; exit 0' TERM
echo '{"type":"up","pid":1}'; while :; do sleep 0.05; done)");
  work.start();
  work.observe_until([&] { return !work.seen.empty(); });
  work.host().ask_to_leave(kRun);
  EXPECT_EQ(work.wait_exit().outcome, Outcome::left);
}

TEST(Supervise, SigtermRightAfterTheStartIsNotLost) {
  Workplace work;
  work.script("while :; do sleep 0.05; done");
  work.start();
  work.host().ask_to_leave(kRun);  // the trainer has no handler yet: it leaves with nothing to lose
  EXPECT_EQ(work.wait_exit().outcome, Outcome::left);
}

TEST(Supervise, AKillEndsTheWholeFamilyAndKeepsTheReason) {
  Workplace work;
  work.script("setsid sleep 1000 & echo $! > grandchild; sleep 1000 & echo up; wait");
  work.start();
  work.observe_until([&] { return !work.seen.empty(); });
  const pid_t grandchild = std::stoi(work.text("grandchild"));
  const ProcessId family = identify(grandchild);
  ASSERT_TRUE(is_alive(family));
  work.host().kill(kRun, Outcome::hang, "no report for 2m");
  const ExitFile exit = work.wait_exit();
  EXPECT_EQ(exit.outcome, Outcome::hang);
  EXPECT_EQ(exit.detail, "no report for 2m");
  EXPECT_EQ(exit.signal, SIGKILL);
  EXPECT_FALSE(is_alive(family)) << "also what left the group and the session";
}

TEST(Supervise, TheTrainerDiesWithItsSupervisor) {
  Workplace work;
  work.script("exec sleep 1000");
  work.start();
  const PidFile pids = work.pids();
  ASSERT_TRUE(is_alive(pids.trainer));
  ASSERT_EQ(::kill(pids.supervisor.pid, SIGKILL), 0);
  EXPECT_EQ(work.wait_exit().outcome, Outcome::crashed);
  EXPECT_FALSE(is_alive(pids.trainer));
  EXPECT_TRUE(RunDirectory(work.run_path()).read_exit()) << "the next reader finds it";
}

// The nursery answered too late, and the run was given to another fork, or given up.
TEST(Supervise, AForkThatComesLateStartsNoSecondTrainer) {
  Workplace work;
  work.script("echo started >> ../../trainers; echo '{\"type\":\"end\",\"outcome\":\"done\"}'");
  work.start();
  EXPECT_EQ(work.wait_exit().outcome, Outcome::done);
  const RunDirectory directory(work.run_path());
  fs::remove(directory.file("exit.json"));  // as if the first one had not come so far
  EXPECT_EQ(supervise({work.run_path(), work.path() / "trainer", "train"}), 1);
  EXPECT_FALSE(fs::exists(directory.file("exit.json"))) << "the end is the first one's to tell";
  std::ifstream trainers(work.path() / "trainers");
  std::string line;
  int started = 0;
  while (std::getline(trainers, line)) ++started;
  EXPECT_EQ(started, 1);
}

TEST(Supervise, ARunThatHasEndedIsNotStartedAgain) {
  Workplace work;
  work.script("exit 0");
  work.start();
  work.wait_exit();
  EXPECT_FALSE(work.host().start(work.config(), 0).ok());
  const std::string command = std::string("'" LLMCTL_BIN_DIR "/llmctl-worker' supervise ") +
                              work.run_path().string() + " /bin/true train 2>/dev/null";
  EXPECT_NE(std::system(command.c_str()), 0);
}

TEST(Supervise, TheTrainerSeesTheJobsEnvironmentAndNotTheWorkersSecrets) {
  Workplace work;
  work.script("env > environment");
  RunConfig config = work.config();
  config.spec.env = {{"JOB_NOTE", "/data/hf"}};
  ASSERT_TRUE(work.host().start(config, 1LL << 60).ok());
  EXPECT_EQ(work.wait_exit().outcome, Outcome::done);
  const std::string seen = work.text("environment");
  EXPECT_NE(seen.find("JOB_NOTE=/data/hf\n"), std::string::npos) << seen;
  EXPECT_EQ(seen.find("hunter2"), std::string::npos) << seen;
  EXPECT_NE(seen.find("OMP_WAIT_POLICY=passive\n"), std::string::npos) << seen;
}

TEST(Supervise, AJobMayLetItsThreadsSpin) {
  Workplace work;
  work.script("env > environment");
  RunConfig config = work.config();
  config.spec.env = {{"OMP_WAIT_POLICY", "active"}};
  ASSERT_TRUE(work.host().start(config, 1LL << 60).ok());
  EXPECT_EQ(work.wait_exit().outcome, Outcome::done);
  const std::string seen = work.text("environment");
  EXPECT_NE(seen.find("OMP_WAIT_POLICY=active\n"), std::string::npos) << seen;
  EXPECT_EQ(seen.find("passive"), std::string::npos) << seen;
}

TEST(Supervise, NobodyElseReadsTheRunsConfiguration) {
  Workplace work;
  work.script("exit 0");
  RunConfig config = work.config();
  config.spec.env = {{"JOB_TOKEN", "secret"}};
  ASSERT_TRUE(work.host().start(config, 1LL << 60).ok());
  const auto mode = fs::status(work.run_path() / "config.json").permissions();
  EXPECT_EQ(mode & (fs::perms::group_all | fs::perms::others_all), fs::perms::none);
  EXPECT_EQ(work.wait_exit().outcome, Outcome::done);
}

TEST(Supervise, AJobCannotMakeItsTrainerRunOtherCode) {
  Workplace work;
  work.script("exit 0");
  for (const char* name : {"LD_PRELOAD", "PATH", "CUDA_INJECTION64_PATH", "NCCL_NET_PLUGIN",
                           "GCONV_PATH", "OMP_TOOL_LIBRARIES", "A=B", "", "1X"}) {
    RunConfig config = work.config();
    config.spec.env = {{name, "/tmp/evil.so"}};
    EXPECT_FALSE(work.host().start(config, 1LL << 60).ok()) << name;
  }
}

}  // namespace
}  // namespace llmctl::worker
