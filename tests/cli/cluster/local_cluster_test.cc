// up and down with real schedulers and workers: idempotent, repairing, side by side.
#include "cli/cluster/local_cluster.h"

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>

#include "core/base/process_stat.h"
#include "tests/processes/patience.h"
#include "tests/processes/test_folder.h"

namespace llmctl {

class LocalClusterTest : public ::testing::Test {
 protected:
  LocalClusterTest() {
    env_.home = folder_.path();
    env_.bin_dir = LLMCTL_BIN_DIR;
  }
  ~LocalClusterTest() override { down(/*now=*/true); }

  Result<UpReport> up(int workers, int slots = 0) {
    UpRequest request;
    request.shape.workers = workers;
    request.shape.slots = slots;
    request.patience_ms = testing::kPatienceMs;
    return bring_up(env_, request, [](const std::string&) {});
  }
  std::vector<std::string> down(bool now) {
    const auto stopped = bring_down(env_, {now, testing::kPatienceMs}, [](const std::string&) {});
    EXPECT_TRUE(stopped.ok()) << stopped.error().message;
    return stopped.ok() ? *stopped : std::vector<std::string>{};
  }

  static void freeze(const ProcessRecord& process) {
    kill(static_cast<pid_t>(process.pid), SIGSTOP);
    EXPECT_TRUE(testing::eventually([&] {
      const auto stat = read_process_stat(process.pid);
      return stat && stat->state == 'T';
    }));
  }

  const testing::TestFolder folder_{"up"};
  Environment env_;
};

using Names = std::vector<std::string>;

TEST_F(LocalClusterTest, ASecondUpStartsNothing) {
  const auto first = up(2);
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_EQ(first->started, (Names{"scheduler", "w1", "w2"}));
  EXPECT_EQ(first->workers.size(), 2u);
  const auto second = up(0);  // no option given
  ASSERT_TRUE(second.ok()) << second.error().message;
  EXPECT_EQ(second->started, Names{});
}

TEST_F(LocalClusterTest, UpRestartsWhatDiedAtTheSameAddress) {
  auto first = up(1);
  ASSERT_TRUE(first.ok()) << first.error().message;
  for (const ProcessRecord& process : first->record.processes) {
    kill(static_cast<pid_t>(process.pid), SIGKILL);  // it may still be exiting when `up` looks
    const auto repaired = up(0);
    ASSERT_TRUE(repaired.ok()) << repaired.error().message;
    EXPECT_EQ(repaired->started, Names{process.name});
    EXPECT_EQ(repaired->record.address, first->record.address);
  }
}

TEST_F(LocalClusterTest, ASchedulerThatDoesNotAnswerIsStartedAgainByUpAndEndedByDown) {
  auto report = up(1);
  ASSERT_TRUE(report.ok()) << report.error().message;
  freeze(*report->record.find("scheduler"));
  report = up(0);
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->started, Names{"scheduler"});
  freeze(*report->record.find("scheduler"));
  EXPECT_EQ(down(/*now=*/false), (Names{"w1", "scheduler"}));
}

TEST_F(LocalClusterTest, MoreWorkersJoinButAnotherShapeIsRefused) {
  ASSERT_TRUE(up(1).ok());
  const auto grown = up(2);
  ASSERT_TRUE(grown.ok()) << grown.error().message;
  EXPECT_EQ(grown->started, Names{"w2"});
  const auto refused = up(2, /*slots=*/7);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::failed_precondition);
  EXPECT_FALSE(up(1).ok());
}

// As after a reboot: nothing lives, so nothing has a shape that must be kept.
TEST_F(LocalClusterTest, WhenNothingLivesOptionsMakeANewShapeAndNoneBringTheOldOneBack) {
  const auto first = up(2);
  ASSERT_TRUE(first.ok()) << first.error().message;
  const auto kill_all = [](const ClusterRecord& record) {
    for (const ProcessRecord& process : record.processes) kill_group(process);
  };
  kill_all(first->record);
  const auto other = up(1, /*slots=*/7);
  ASSERT_TRUE(other.ok()) << other.error().message;
  EXPECT_EQ(other->started, (Names{"scheduler", "w1"}));
  kill_all(other->record);
  const auto same = up(0);
  ASSERT_TRUE(same.ok()) << same.error().message;
  EXPECT_EQ(same->record.shape.slots, 7);
}

TEST_F(LocalClusterTest, DownDrainsAndTheNextUpTakesWorkAgain) {
  ASSERT_TRUE(up(1).ok());
  EXPECT_EQ(down(/*now=*/false), (Names{"w1", "scheduler"}));
  EXPECT_EQ(find_endpoint(env_).error().code, Code::unavailable);
  const auto again = up(1);
  ASSERT_TRUE(again.ok()) << again.error().message;
  ASSERT_EQ(again->workers.size(), 1u);
  EXPECT_EQ(again->workers[0].state, "ready");
}

TEST_F(LocalClusterTest, TwoClustersRunSideBySide) {
  ASSERT_TRUE(up(1).ok());
  Environment second = env_;
  second.home += "/second";
  UpRequest request;
  request.patience_ms = testing::kPatienceMs;
  const auto other = bring_up(second, request, [](const std::string&) {});
  ASSERT_TRUE(other.ok()) << other.error().message;
  EXPECT_NE(other->record.address, find_endpoint(env_)->address);
  EXPECT_TRUE(bring_down(second, {true, testing::kPatienceMs}, [](const std::string&) {}).ok());
  EXPECT_EQ(up(0)->started, Names{});
}

}  // namespace llmctl
