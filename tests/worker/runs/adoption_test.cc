// What a new worker process makes of what the last one left: runs alive, ended, dead, and pids that
// now belong to somebody else.
#include <signal.h>
#include <unistd.h>

#include <fstream>

#include "tests/processes/patience.h"
#include "tests/worker/workplace.h"

namespace llmctl::worker {
namespace {

constexpr const char* kTalks = R"(echo '{"type":"up","pid":1}'; echo '{"type":"phase","phase":"a"}'
while [ ! -e go ]; do sleep 0.02; done; echo '{"type":"end","outcome":"done","detail":"adopted"}')";

void restart(Workplace& work) {
  work.close_host();
  work.open_host();
  work.seen.clear();
}

TEST(Adoption, ALiveRunIsFollowedFromItsFirstLineToItsEnd) {
  Workplace work;
  work.script(kTalks);
  work.start();
  work.observe_until([&] { return work.seen.size() == 2; });
  const PidFile before = work.pids();
  restart(work);
  const auto found = work.host().adopt_all();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].run, kRun);
  EXPECT_GT(found[0].lease_until_boot_ms, work.host().boot_ms());
  work.observe_until([&] { return work.seen.size() == 2; });
  EXPECT_EQ(work.pids().trainer, before.trainer) << "the same process, not a new one";
  std::ofstream(work.run_path() / "go") << "";
  EXPECT_EQ(work.wait_exit().detail, "adopted");
}

TEST(Adoption, AnAdoptedRunCanBeAskedToLeaveAndKilled) {
  Workplace work;
  work.script("echo up; trap 'echo asked; exit 0' TERM; while :; do sleep 0.02; done");
  const RunKey other{JobId{8}, Epoch{3}, 1};
  work.start();
  work.start(other);
  work.observe_until([&] { return work.seen.size() == 2; });
  restart(work);
  EXPECT_EQ(work.host().adopt_all().size(), 2U);
  work.pids();
  work.host().ask_to_leave(kRun);
  EXPECT_EQ(work.wait_exit().outcome, Outcome::done);
  work.pids(other);
  work.host().kill(other, Outcome::killed, "not wanted");
  EXPECT_EQ(work.wait_exit(other).outcome, Outcome::killed);
}

TEST(Adoption, ARunThatEndedMeanwhileIsTold) {
  Workplace work;
  work.script("echo '{\"type\":\"end\",\"outcome\":\"oom\",\"detail\":\"\"}'");
  work.start();
  const PidFile pids = work.pids();
  work.close_host();
  ASSERT_TRUE(testing::eventually([&] { return !is_alive(pids.supervisor); }));
  work.open_host();
  work.host().adopt_all();
  EXPECT_EQ(work.wait_exit().outcome, Outcome::oom);
}

TEST(Adoption, ARunWhoseSupervisorDiedMeanwhileCrashed) {
  Workplace work;
  work.script("exec sleep 1000");
  work.start();
  const PidFile pids = work.pids();
  work.close_host();
  ::kill(pids.supervisor.pid, SIGKILL);
  work.open_host();
  work.host().adopt_all();
  EXPECT_EQ(work.wait_exit().outcome, Outcome::crashed);
  EXPECT_FALSE(is_alive(pids.trainer));
}

TEST(Adoption, AKillDecidedBeforeTheRestartKeepsItsReason) {
  Workplace work;
  work.script("exec sleep 1000");
  work.start();
  const PidFile pids = work.pids();
  ASSERT_TRUE(RunDirectory(work.run_path()).write_verdict({Outcome::hang, "silent"}).ok());
  work.close_host();
  ::kill(-pids.trainer.pid, SIGKILL);
  work.open_host();
  work.host().adopt_all();
  EXPECT_EQ(work.wait_exit().outcome, Outcome::hang);
}

TEST(Adoption, AReusedPidIsNotTakenForOurs) {
  Workplace work;
  work.close_host();
  const RunDirectory directory(work.run_path());
  std::filesystem::create_directories(directory.path());
  // This test's own process under another start time: what pid reuse looks like.
  ProcessId stranger = identify(getpid());
  stranger.start -= 1;
  ASSERT_TRUE(directory.write_pids({stranger, stranger, boot_id()}).ok());
  work.open_host();
  work.host().adopt_all();
  work.host().kill(kRun, Outcome::killed, "");
  EXPECT_EQ(work.wait_exit().outcome, Outcome::killed) << "and this process is still here";
}

TEST(Adoption, PidsOfAnotherBootAreNobody) {
  Workplace work;
  const RunDirectory directory(work.path());
  ASSERT_TRUE(directory.write_pids({identify(getpid()), identify(getpid()), "other-boot"}).ok());
  EXPECT_FALSE(directory.read_pids());
}

TEST(Adoption, TwoWorkersCannotShareAWorkDirectory) {
  Workplace work;
  LocalHostOptions options;
  options.work_dir = work.path();
  options.program = LLMCTL_BIN_DIR "/llmctl-worker";
  const SystemClock clock;
  const auto second = LocalHost::open(options, clock);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, Code::failed_precondition);
}

TEST(Adoption, OnlyTheNewestEndedRunsAreKept) {
  Workplace work;
  for (int i = 1; i <= 101; ++i) {  // half of them go at once
    const RunKey key{JobId{i}, Epoch{1}, 0};
    std::filesystem::create_directories(work.path() / "runs" / directory_name(key));
    work.host().retire(key);
  }
  EXPECT_TRUE(std::filesystem::is_empty(work.path() / "runs"));
  EXPECT_FALSE(work.host().find({JobId{51}, Epoch{1}, 0}));
  EXPECT_TRUE(work.host().find({JobId{52}, Epoch{1}, 0}));
  EXPECT_TRUE(work.host().find({JobId{101}, Epoch{1}, 0}));
}

TEST(Adoption, ADirectoryThatIsNotARunIsLeftAlone) {
  Workplace work;
  for (const char* name : {"7-e1", "x", "7-e1-r0-old", "007-e1-r0", "7-e1-r-1"}) {
    std::filesystem::create_directories(work.path() / "runs" / name);
  }
  EXPECT_TRUE(work.host().adopt_all().empty());
}

TEST(Hang, AStoppedRankIsDumpedIntoItsLogAndKilled) {
  Workplace work;
  work.script("echo up; exec sleep 1000");
  work.start();
  work.observe_until([&] { return !work.seen.empty(); });
  const PidFile pids = work.pids();
  ::kill(pids.trainer.pid, SIGSTOP);
  ASSERT_TRUE(testing::eventually(
      [&] { return work.host().dump_threads(kRun).find("stopped") != std::string::npos; }));
  work.host().kill(kRun, Outcome::hang, "no report");
  EXPECT_EQ(work.wait_exit().outcome, Outcome::hang);
  EXPECT_NE(work.text("log.txt").find("[llmctl] hang: 1 thread: 1 stopped"), std::string::npos)
      << work.text("log.txt");
}

}  // namespace
}  // namespace llmctl::worker
