// The real llmctl-worker against a real Fleet server, with a shell script as trainer: what the
// scheduler wants happens, and a worker that is killed, or cut off, loses nothing.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/run/run_config.h"
#include "tests/processes/patience.h"
#include "tests/processes/test_folder.h"
#include "tests/worker/link/fleet_server.h"
#include "worker/contract/run_directory.h"

extern char** environ;

namespace llmctl::worker {
namespace {

namespace fs = std::filesystem;

constexpr RunKey kRun{JobId{7}, Epoch{1}, 0};

class ProgramTest : public ::testing::Test {
 protected:
  void TearDown() override {
    if (worker > 0) end_worker(SIGKILL);
    const auto pids = RunDirectory(run_path()).read_pids();
    if (pids && is_alive(pids->trainer)) ::kill(-pids->trainer.pid, SIGKILL);
    until([&] { return !pids || !is_alive(pids->supervisor); });
  }

  void script(const std::string& body) const {
    std::ofstream(work / "trainer") << "#!/bin/bash\n" << body << "\n";
    fs::permissions(work / "trainer", fs::perms::owner_all);
  }
  void start_worker() {
    std::vector<std::string> words = {LLMCTL_BIN_DIR "/llmctl-worker",
                                      "--scheduler",
                                      server.address(),
                                      "--work-dir",
                                      work / "w1",
                                      "--jobs-dir",
                                      work / "jobs",
                                      "--trainer",
                                      work / "trainer",
                                      "--no-cuda",
                                      "--no-spare-trainer",
                                      "--cpu-memory",
                                      "1GiB",
                                      "--slots",
                                      "2",
                                      "--threads",
                                      "4",
                                      "--hang-timeout",
                                      hang_timeout};
    words.insert(words.end(), name.begin(), name.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ASSERT_EQ(posix_spawn(&worker, argv[0], nullptr, nullptr, argv.data(), environ), 0);
  }
  void end_worker(int signal) {
    ::kill(worker, signal);
    int status = 0;
    waitpid(worker, &status, 0);
    if (signal == SIGTERM) {
      EXPECT_EQ(status, 0);
    }
    worker = 0;
  }
  void until(const std::function<bool()>& done) const {
    ASSERT_TRUE(testing::eventually(done)) << "it did not happen";
  }

  void desire(const std::vector<RunKey>& keys) {
    v1::SchedulerMessage message;
    message.mutable_desired();
    for (const RunKey& key : keys) {
      RunConfig config;
      config.job_id = key.job.value;
      config.epoch = key.epoch.value;
      config.rank = key.rank;
      config.spec =
          parse_spec_json(R"({"model": "llama-1m", "datasets": "a", "max_steps": 10})").value();
      message.mutable_desired()->add_runs()->set_config_json(to_json(config).dump());
    }
    server.send(message);
  }
  // The newest word of the worker about kRun on the newest stream.
  v1::RunStatus status() const {
    v1::RunStatus found;
    for (const v1::WorkerMessage& message : server.received()) {
      const auto& runs = message.has_hello() ? message.hello().runs() : message.heartbeat().runs();
      for (const v1::RunStatus& run : runs) {
        if (run.job_id() == kRun.job.value) found = run;
      }
    }
    return found;
  }
  void wait_phase(const std::string& phase) const {
    until([&] { return status().phase() == phase; });
  }
  int hellos() const {
    int count = 0;
    for (const auto& message : server.received()) count += message.has_hello() ? 1 : 0;
    return count;
  }
  void wait_hello(int number) const {
    until([&] { return hellos() >= number; });
  }
  // A worker that has been told to run kRun with this script, and its run is up.
  PidFile start_run(const std::string& body) {
    script(body);
    start_worker();
    wait_hello(1);
    desire({kRun});
    wait_phase("up");
    return RunDirectory(run_path()).read_pids().value_or(PidFile{});
  }
  fs::path run_path() const { return work / "w1/runs" / directory_name(kRun); }
  Millis lease() const { return RunDirectory(run_path()).read_lease(); }

  FleetServer server;
  const testing::TestFolder folder{"program"};
  const fs::path work = folder.path();
  pid_t worker = 0;
  std::vector<std::string> name = {"--name", "w1"};
  std::string hang_timeout = "120s";
};

constexpr const char* kRuns = R"(echo '{"type":"up","pid":'$$'}'
echo '{"type":"checkpoint","step":5,"path":"e1-s5"}'; echo 'hello log' >&2
while [ ! -e go ]; do echo '{"type":"phase","phase":"train"}'; sleep 0.05; done
echo '{"type":"end","outcome":"done","detail":"all steps"}')";

TEST_F(ProgramTest, RunsWhatIsDesiredAndTellsItsEnd) {
  start_run(kRuns);
  const auto config = nlohmann::json::parse(std::ifstream(run_path() / "config.json"));
  EXPECT_EQ(config["job_dir"], (work / "jobs/7").string());
  EXPECT_EQ(config["threads"], 2) << "4 cores shared by 2 slots";
  std::ofstream(run_path() / "go") << "";
  wait_phase("ended");
  EXPECT_EQ(status().outcome(), "done");
  EXPECT_EQ(status().detail(), "all steps");
  desire({});
  until([&] { return fs::exists(work / "w1/ended" / directory_name(kRun)); });
}

TEST_F(ProgramTest, ARunThatIsNoLongerDesiredIsKilled) {
  const PidFile pids = start_run(kRuns);
  ASSERT_TRUE(is_alive(pids.trainer));
  desire({});
  until([&] { return !is_alive(pids.trainer); });
}

TEST_F(ProgramTest, AKilledWorkerAdoptsItsRunsWhenItComesBack) {
  const PidFile pids = start_run(kRuns);
  end_worker(SIGKILL);
  EXPECT_TRUE(is_alive(pids.trainer));
  start_worker();
  wait_hello(2);
  desire({kRun});
  EXPECT_TRUE(is_alive(pids.trainer)) << "adopted, not restarted";
  std::ofstream(run_path() / "go") << "";
  wait_phase("ended");
  EXPECT_EQ(status().outcome(), "done");
}

TEST_F(ProgramTest, SigtermStopsTheWorkerAndNotItsRuns) {
  const PidFile pids = start_run(kRuns);
  end_worker(SIGTERM);
  EXPECT_TRUE(is_alive(pids.trainer));
  EXPECT_FALSE(fs::exists(work / "w1/worker.json"));
}

TEST_F(ProgramTest, CheckpointsAreToldAgainOnANewStream) {
  script(kRuns);
  start_worker();
  wait_hello(1);
  desire({kRun});
  const auto checkpoints = [&] {
    int count = 0;
    for (const auto& message : server.received()) {
      count += message.report().checkpoint().path() == "e1-s5" ? 1 : 0;
    }
    return count;
  };
  until([&] { return checkpoints() == 1; });
  server.hang_up();
  until([&] { return checkpoints() == 2; });
}

TEST_F(ProgramTest, TheLeaseIsRenewedByAnswersAndNotInSilence) {
  start_run(kRuns);
  const Millis first = lease();
  until([&] { return lease() > first; });
  ::kill(worker, SIGSTOP);
  ASSERT_EQ(waitpid(worker, nullptr, WUNTRACED), worker);
  const Millis frozen = lease();
  poll(nullptr, 0, 500);
  EXPECT_EQ(lease(), frozen);
  ::kill(worker, SIGCONT);
  until([&] { return lease() > frozen; });
}

// Several workers may be advertised under one address, of a router or a load balancer.
TEST_F(ProgramTest, TheAdvertisedHostIsNotTheWorkersName) {
  name = {"--advertise-host", "10.9.8.7"};
  start_worker();
  wait_hello(1);
  const v1::Hello hello = server.received().at(0).hello();
  EXPECT_EQ(hello.inventory().hostname(), "10.9.8.7");
  EXPECT_NE(hello.name(), "10.9.8.7");
  EXPECT_NE(hello.inventory().place().find((work / "w1").string()), std::string::npos);
}

// Machines that mount one folder have its id in common; a mount that comes late is another folder.
TEST_F(ProgramTest, TheHelloNamesTheJobsFolderThatIsThere) {
  start_worker();
  wait_hello(1);
  const auto told = [this](size_t hello) {
    size_t seen = 0;
    for (const auto& message : server.received()) {
      if (!message.has_hello() || ++seen < hello) continue;
      return message.hello().inventory().jobs_folder();
    }
    return std::string();
  };
  const std::string first = told(1);
  EXPECT_EQ(first.size(), 32u);
  fs::rename(work / "jobs", work / "unmounted");
  fs::create_directory(work / "jobs");
  std::ofstream(work / "jobs" / "folder") << "another one\n";
  until([&] { return told(2) == "another one"; });
}

TEST_F(ProgramTest, AServerThatStopsAnsweringStopsTheLease) {
  server.answer_heartbeats = false;
  start_run(kRuns);
  const Millis only = lease();
  const size_t before = server.received().size();
  until([&] { return server.received().size() > before + 10; });  // ten heartbeats or reports later
  EXPECT_EQ(lease(), only);
}

// It is not known whether it still gives jobs away: its address may refuse for other reasons.
TEST_F(ProgramTest, ASchedulerThatCannotBeReachedRenewsNothingAndIsFoundAgain) {
  start_run(kRuns);
  server.stop();
  poll(nullptr, 0, 300);  // an answer may still be on its way
  const Millis at_stop = lease();
  poll(nullptr, 0, 500);
  EXPECT_EQ(lease(), at_stop);
  server.restart();
  wait_hello(2);
  until([&] { return lease() > at_stop; });
}

TEST_F(ProgramTest, ARankThatHangsIsKilledAndItsThreadsAreInTheLog) {
  hang_timeout = "1s";
  script("echo '{\"type\":\"up\",\"pid\":1}'; exec sleep 1000");
  start_worker();
  wait_hello(1);
  desire({kRun});
  wait_phase("ended");
  EXPECT_EQ(status().outcome(), "hang");
  EXPECT_NE(status().detail().find("no report for"), std::string::npos) << status().detail();
  std::ifstream log(run_path() / "log.txt");
  const std::string text{std::istreambuf_iterator<char>(log), {}};
  EXPECT_NE(text.find("[llmctl] hang: 1 thread"), std::string::npos) << text;
}

TEST_F(ProgramTest, ServesLogsAlsoOfAnEndedRun) {
  start_run(kRuns);
  std::ofstream(run_path() / "go") << "";
  wait_phase("ended");
  desire({});
  until([&] { return fs::exists(work / "w1/ended" / directory_name(kRun)); });
  v1::SchedulerMessage read;
  read.mutable_log_read()->set_request(3);
  read.mutable_log_read()->set_job_id(7);
  read.mutable_log_read()->set_epoch(1);
  server.send(read);
  std::string text;
  until([&] {
    text.clear();
    bool ended = false;
    for (const auto& message : server.received()) {
      text += message.log().data();
      ended |= message.log().end();
    }
    return ended;
  });
  EXPECT_EQ(text, "hello log\n");
}

}  // namespace
}  // namespace llmctl::worker
