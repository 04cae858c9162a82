// The local cluster's record, token and processes.
#include "cli/cluster/home.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/processes/patience.h"
#include "tests/processes/test_folder.h"

namespace llmctl {

class HomeTest : public ::testing::Test {
 protected:
  HomeTest() {
    home_.dir = folder_.path();
    CHECK(make_home(home_).ok());
  }

  ClusterRecord record() const {
    ClusterRecord record;
    record.address = "127.0.0.1:7000";
    record.metrics_address = "127.0.0.1:7001";
    record.shape.workers = 2;
    record.shape.cpu_memory = Bytes{6} << 30;
    record.processes = {{"scheduler", 10, 111}, {"w1", 11, 112}};
    record.drained = {"w1"};
    return record;
  }

  const testing::TestFolder folder_{"home"};
  Home home_;
};

TEST_F(HomeTest, TheTokenIsSecretAndStays) {
  struct stat info {};
  ASSERT_EQ(stat(home_.token_path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const std::string token = *read_token(home_.token_path());
  EXPECT_EQ(token.size(), 64u);  // 32 bytes in hex
  ASSERT_TRUE(make_home(home_).ok());
  EXPECT_EQ(*read_token(home_.token_path()), token);
}

TEST_F(HomeTest, TheRecordSurvivesWritingAndReading) {
  ASSERT_TRUE(write_cluster(home_, record()).ok());
  const auto read = read_cluster(home_);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->address, "127.0.0.1:7000");
  EXPECT_EQ(read->shape, record().shape);
  ASSERT_EQ(read->processes.size(), 2u);
  EXPECT_EQ(read->processes[1].start_ticks, 112);
  EXPECT_EQ(read->drained, std::vector<std::string>{"w1"});
}

TEST_F(HomeTest, ADamagedRecordIsAnErrorThatNamesTheFile) {
  for (const char* text : {"", "{", "[]", R"({"address":7})", R"({"processes":[3]})"}) {
    std::ofstream(home_.record_path()) << text;
    const auto read = read_cluster(home_);
    EXPECT_FALSE(read.ok()) << text;
  }
  std::ofstream(home_.record_path()) << "{";
  EXPECT_NE(read_cluster(home_).error().message.find("cluster.json"), std::string::npos);
}

TEST_F(HomeTest, TheEndpointIsTheLocalClusters) {
  Environment env;
  env.home = home_.dir;
  EXPECT_EQ(find_endpoint(env).error().code, Code::unavailable);
  ASSERT_TRUE(write_cluster(home_, record()).ok());
  EXPECT_EQ(find_endpoint(env)->address, "127.0.0.1:7000");
  EXPECT_EQ(find_endpoint(env)->token, *read_token(home_.token_path()));
}

TEST_F(HomeTest, TheLocalTokenIsNotSentToAnotherServer) {
  ASSERT_TRUE(write_cluster(home_, record()).ok());
  Environment env;
  env.home = home_.dir;
  env.server = "10.0.0.9:7000";
  EXPECT_EQ(find_endpoint(env)->address, "10.0.0.9:7000");
  EXPECT_EQ(find_endpoint(env)->token, "");
  EXPECT_EQ(local_jobs_dir(env), "");
  env.server = record().address;
  EXPECT_EQ(find_endpoint(env)->token, *read_token(home_.token_path()));
  EXPECT_EQ(local_jobs_dir(env), home_.jobs_dir());
}

TEST_F(HomeTest, AReusedPidIsNotOurProcess) {
  ProcessRecord mine{"me", getpid(), process_start_ticks(getpid())};
  EXPECT_TRUE(is_alive(mine));
  mine.start_ticks += 1;
  EXPECT_FALSE(is_alive(mine));
}

TEST_F(HomeTest, ADetachedProcessOutlivesNothingButItsStop) {
  const auto process = start_detached({"sleeper", {"/bin/sleep", "100"}, home_.log_path("s")});
  ASSERT_TRUE(process.ok());
  EXPECT_TRUE(is_alive(*process));
  EXPECT_EQ(getsid(static_cast<pid_t>(process->pid)), process->pid);  // no terminal reaches it
  stop_process(*process, testing::kPatienceMs);
  EXPECT_FALSE(is_alive(*process));
}

TEST_F(HomeTest, AProcessThatIgnoresTheRequestIsKilled) {
  const auto process =
      start_detached({"deaf",
                      {"/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"},
                      home_.log_path("deaf")});
  ASSERT_TRUE(process.ok());
  ASSERT_TRUE(testing::eventually(
      [&] { return log_tail(home_.log_path("deaf"), 1).find("ready") != std::string::npos; }));
  stop_process(*process, 200);
  EXPECT_FALSE(is_alive(*process));
}

TEST_F(HomeTest, AProgramThatIsNotThereIsAnError) {
  const auto process = start_detached({"none", {"/no/such/program"}, home_.log_path("none")});
  ASSERT_FALSE(process.ok());
  EXPECT_NE(process.error().message.find("/no/such/program"), std::string::npos);
}

}  // namespace llmctl
