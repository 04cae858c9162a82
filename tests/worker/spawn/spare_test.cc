// A trainer that is loaded ahead of need gets a run that it fits, and no other.
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "core/run/run_config.h"
#include "tests/processes/patience.h"
#include "tests/worker/workplace.h"

namespace llmctl::worker {
namespace {

namespace fs = std::filesystem;

// As `wait` it says that it is loaded, and reads the packet with its verb and directory at once.
constexpr const char* kScript = R"(
waited=no; verb=$1
if [ "$1" = wait ]; then
  printf + >&0; echo $$ >> "$(dirname "$0")/loaded"
  mapfile -d '' words < <(dd bs=9000 count=1 2>/dev/null)
  [ ${#words[@]} = 2 ] || exit 0
  waited=yes; verb=${words[0]}; cd "${words[1]}"
fi
env > environment
echo "{\"type\":\"end\",\"outcome\":\"done\",\"detail\":\"$verb waited $waited, pid $$ in $PWD\"}"
exit)";

class SpareTest : public ::testing::Test {
 protected:
  SpareTest() { work.script(kScript); }

  // Its pid, once the last one has said that it is loaded.
  ProcessId wait_spare() {
    pid_t pid = 0;
    work.observe_until([&] {
      std::ifstream in(work.path() / "loaded");
      for (pid_t one = 0; in >> one;) pid = one;
      return pid != 0 && is_alive(identify(pid));
    });
    return identify(pid);
  }
  std::string run(int32_t rank, const std::map<std::string, std::string>& environment = {}) {
    newest = {kRun.job, kRun.epoch, rank};
    RunConfig config = work.config(newest);
    config.spec.env = environment;
    EXPECT_TRUE(work.host().start(config, 1LL << 60).ok());
    return work.wait_exit(newest).detail;
  }
  // Of ranks from `rank` on the first that did not start plainly: the nursery may hear a moment
  // after us that the spare one is loaded.
  std::string run_with_spare(int32_t rank) {
    std::string said;
    for (const int32_t end = rank + 50; rank < end; ++rank) {
      said = run(rank);
      if (said.find("waited yes") != said.npos) break;
    }
    return said;
  }

  Workplace work{/*spare_trainer=*/true};
  RunKey newest;
};

TEST_F(SpareTest, TheRunIsInItsDirectoryWithTheSpareTrainersPid) {
  const ProcessId spare = wait_spare();
  const std::string said = run_with_spare(0);
  const std::string pid = std::to_string(spare.pid);
  EXPECT_TRUE(said.starts_with("train waited yes, pid " + pid + " in ")) << said;
  EXPECT_NE(said.find("/runs/7-e1-r"), said.npos) << said;
}

TEST_F(SpareTest, AnotherIsLoadedForTheRunAfterIt) {
  const ProcessId first = wait_spare();
  run_with_spare(0);
  ProcessId second;
  work.observe_until([&] { return !((second = wait_spare()) == first); });
  EXPECT_NE(run_with_spare(100).find("pid " + std::to_string(second.pid)), std::string::npos);
}

TEST_F(SpareTest, ItHasTheEnvironmentOfAnyOtherTrainer) {
  wait_spare();
  run_with_spare(0);
  const std::string seen = work.text("environment", newest);
  EXPECT_NE(seen.find("PATH=/usr/bin:/bin\n"), seen.npos) << seen;
  EXPECT_EQ(seen.find("hunter2"), seen.npos) << seen;
}

TEST_F(SpareTest, AJobWithAnEnvironmentOfItsOwnStartsPlainly) {
  const ProcessId spare = wait_spare();
  EXPECT_NE(run(0, {{"OMP_NUM_THREADS", "1"}}).find("waited no"), std::string::npos);
  EXPECT_NE(work.text("environment").find("OMP_NUM_THREADS=1\n"), std::string::npos);
  EXPECT_TRUE(is_alive(spare)) << "it waits for one that fits";
}

TEST_F(SpareTest, AProgramThatWasReplacedStartsAnew) {
  const ProcessId spare = wait_spare();
  fs::last_write_time(work.path() / "trainer", fs::file_time_type::clock::now());
  EXPECT_NE(run_with_spare(0).find("waited no"), std::string::npos);
  work.observe_until([&] { return !is_alive(spare); });
}

TEST_F(SpareTest, ASpareThatDiedIsNobodysCrash) {
  const ProcessId spare = wait_spare();
  ASSERT_EQ(::kill(-spare.pid, SIGKILL), 0);  // and what holds its socket
  work.observe_until([&] { return !is_alive(spare); });
  EXPECT_NE(run(0).find("waited no"), std::string::npos);
}

TEST_F(SpareTest, ItEndsWithTheWorker) {
  const ProcessId spare = wait_spare();
  work.close_host();
  EXPECT_TRUE(testing::eventually([&] { return !is_alive(spare); }));
}

TEST_F(SpareTest, ATrainerThatCannotWaitRunsAnyway) {
  work.script("exit 0");
  EXPECT_TRUE(run(0).empty());
  EXPECT_EQ(work.exit_of(kRun)->outcome, Outcome::done);
}

}  // namespace
}  // namespace llmctl::worker
