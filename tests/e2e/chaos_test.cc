// It survives: every program is killed, stopped or starved in the middle of a run. Afterwards the
// job has finished, its weights are bitwise those of an undisturbed run, and nothing acknowledged
// is lost.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <set>

#include "tests/e2e/cluster.h"
#include "tests/processes/patience.h"

namespace llmctl::e2e {
namespace fs = std::filesystem;

namespace {

constexpr int kSteps = 240;

// One thread for each trainer: several wait for each other by spinning, and beside busy neighbours
// a step then takes ten times as long.
const std::vector<std::string> kUpArgs = {"--workers", "1", "--slots",      "1",
                                          "--threads", "1", "--cpu-memory", "2GiB"};

// Everything that decides the numbers is given, so that only the disturbance differs.
std::string job_text() {
  return R"(name: chaos
model: {architecture: llama, hidden_size: 96, num_hidden_layers: 3, num_attention_heads: 4}
datasets: [text.txt]
tokenizer: bytes
sequence_len: 64
micro_batch_size: 4
global_batch_size: 8
gradient_checkpointing: false
learning_rate: 1e-3
max_steps: )" +
         std::to_string(kSteps) + R"(
save_steps: 20
retry: {max_restarts: 20}
)";
}

}  // namespace

class Chaos : public ::testing::Test {
 protected:
  void SetUp() override { start(); }
  void start(std::vector<std::string> more = {}) {
    std::vector<std::string> up_args = kUpArgs;
    up_args.insert(up_args.end(), more.begin(), more.end());
    cluster_ = std::make_unique<Cluster>(up_args);
    std::ofstream(cluster_->home() / "text.txt") << training_text(4000);
    job_file_ = cluster_->write_job("chaos", job_text());
  }

  // The undisturbed run's hash, made once.
  static const std::string& undisturbed() {
    static const std::string hash = [] {
      Cluster calm(kUpArgs);
      std::ofstream(calm.home() / "text.txt") << training_text(4000);
      const int64_t id = calm.submit(calm.write_job("chaos", job_text()));
      return tensors_hash(calm.wait_state(id, "SUCCEEDED")["checkpoints"].back()["path"]);
    }();
    return hash;
  }

  void expect_unharmed(int64_t id) {
    const auto show = cluster_->wait_state(id, "SUCCEEDED");
    ASSERT_EQ(show["state"], "SUCCEEDED");
    EXPECT_EQ(show["progress"]["step"], kSteps);
    ASSERT_FALSE(show["checkpoints"].empty()) << show;
    EXPECT_EQ(show["checkpoints"].back()["step"], kSteps);
    EXPECT_EQ(tensors_hash(show["checkpoints"].back()["path"]), undisturbed());
    expect_history_sound(id);
  }

  // Seqs of one job grow, epochs never fall back, states follow each other, the end comes once.
  void expect_history_sound(int64_t id) {
    int64_t seq = 0, epoch = 0, ends = 0;
    std::string state = "QUEUED";
    for (const auto& event : cluster_->events(id)) {
      EXPECT_GT(event["seq"].get<int64_t>(), seq) << event;
      seq = event["seq"];
      if (event["type"] == "AttemptGranted") {
        EXPECT_GT(event["epoch"].get<int64_t>(), epoch) << event;
        epoch = event["epoch"];
      }
      if (event["type"] == "CheckpointCommitted") {
        EXPECT_EQ(event["epoch"], epoch) << event;
      }
      if (event["type"] == "JobMoved") {
        EXPECT_EQ(event["from"], state) << event;
        state = event["to"];
        ends += state == "SUCCEEDED";
      }
    }
    EXPECT_EQ(ends, 1);
  }

  int64_t random_step() { return std::uniform_int_distribution<int64_t>(25, 150)(random_); }

  std::unique_ptr<Cluster> cluster_;
  std::string job_file_;
  std::mt19937_64 random_{std::random_device{}()};
};

TEST_F(Chaos, KilledTrainersChangeNothing) {
  const int64_t id = cluster_->submit(job_file_);
  for (const int64_t step : {30, 95, 170}) {
    cluster_->wait_step(id, step);
    for (const pid_t pid : cluster_->trainer_pids(id)) kill_hard(pid);
  }
  expect_unharmed(id);
  EXPECT_GE(cluster_->show(id)["attempts"], 3);
}

TEST_F(Chaos, AKilledWorkerAdoptsItsRunningRanks) {
  const int64_t id = cluster_->submit(job_file_);
  cluster_->wait_step(id, random_step());
  const auto pids = cluster_->trainer_pids(id);
  ASSERT_EQ(pids.size(), 1u);
  kill_hard(cluster_->worker_pid("w1"));
  cluster_->up();
  EXPECT_TRUE(alive(pids[0])) << "the rank did not survive its agent";
  expect_unharmed(id);
  EXPECT_EQ(cluster_->show(id)["attempts"], 1);
}

TEST_F(Chaos, AKilledSchedulerFindsItsWorkAgain) {
  const int64_t id = cluster_->submit(job_file_);
  std::set<int64_t> acknowledged = {id};
  for (int i = 0; i < 3; ++i) {
    cluster_->wait_step(id, 30 + i * 50);
    const auto pids = cluster_->trainer_pids(id);
    acknowledged.insert(cluster_->submit(job_file_, {"--set", "max_steps=1"}));
    kill_hard(cluster_->scheduler_pid());
    cluster_->up();
    for (const pid_t pid : pids) EXPECT_TRUE(alive(pid)) << "an outage killed work";
  }
  expect_unharmed(id);
  EXPECT_EQ(cluster_->show(id)["attempts"], 1);
  for (const int64_t job : acknowledged) cluster_->wait_state(job, "SUCCEEDED");
}

// What it could not hear while it was stopped itself is nobody's silence.
TEST_F(Chaos, AStoppedSchedulerGivesNobodyUp) {
  cluster_.reset();
  start({"--lease-ms", "3000", "--grace-ms", "1000"});
  const int64_t id = cluster_->submit(job_file_);
  cluster_->wait_step(id, 30);
  kill(cluster_->scheduler_pid(), SIGSTOP);
  poll(nullptr, 0, 6'000);  // longer than lease and grace
  kill(cluster_->scheduler_pid(), SIGCONT);
  expect_unharmed(id);
  EXPECT_EQ(cluster_->show(id)["attempts"], 1);
}

// Each machine has a jobs folder of its own: a job waits for the one that holds its checkpoints.
TEST_F(Chaos, AJobGoesOnOnlyWhereItsCheckpointsAre) {
  cluster_.reset();
  start({"--lease-ms", "3000", "--grace-ms", "1000"});
  const int64_t id = cluster_->submit(job_file_);
  cluster_->wait_until(id, [](const auto& s) { return !s["checkpoints"].empty(); });
  cluster_->start_worker("far", {"--jobs-dir", cluster_->home() / "far-jobs", "--no-cuda",
                                 "--cpu-memory", "2GiB", "--threads", "1"});
  const pid_t worker = cluster_->worker_pid("w1");
  kill(worker, SIGSTOP);
  cluster_->wait_state(id, "QUEUED");
  EXPECT_TRUE(testing::eventually([&] {
    return cluster_->llmctl({"explain", std::to_string(id)}).out.find("far does not see") !=
           std::string::npos;
  })) << cluster_->llmctl({"explain", std::to_string(id)}).out;
  kill(worker, SIGCONT);
  expect_unharmed(id);
  for (const auto& event : cluster_->events(id)) {
    if (event["type"] != "CheckpointRemoved") continue;
    EXPECT_FALSE(fs::exists(cluster_->home() / "jobs" / std::to_string(id) / "checkpoints" /
                            event["path"].get<std::string>()));
  }
}

TEST_F(Chaos, AStoppedWorkerIsFencedAndItsZombieWritesNothing) {
  cluster_.reset();
  // A short lease, so that its end comes within the test.
  start({"--lease-ms", "3000", "--grace-ms", "1000"});
  const int64_t id = cluster_->submit(job_file_);
  // Late enough, at times, for the trainer to end within its lease while nobody listens.
  cluster_->wait_step(id, random_step() + 40);
  const pid_t worker = cluster_->worker_pid("w1");
  kill(worker, SIGSTOP);
  cluster_->wait_until(id, [](const auto& s) { return s["state"] != "RUNNING"; });
  kill(worker, SIGCONT);
  expect_unharmed(id);
  EXPECT_GE(cluster_->show(id)["attempts"], 2);
}

TEST_F(Chaos, ACorruptNewestCheckpointFallsBackToTheOneBefore) {
  const int64_t id = cluster_->submit(job_file_);
  cluster_->wait_step(id, 90);
  EXPECT_EQ(cluster_->llmctl({"pause", std::to_string(id)}).code, 0);
  const auto paused =
      cluster_->wait_until(id, [&](const auto&) { return cluster_->trainer_pids(id).empty(); });
  const auto checkpoints = cluster_->show(id)["checkpoints"];
  ASSERT_GE(checkpoints.size(), 2u);
  const fs::path file =
      fs::path(checkpoints.back()["path"].get<std::string>()) / "rank-0.safetensors";
  std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekg(static_cast<std::streamoff>(fs::file_size(file) / 2));
  const char flipped = static_cast<char>(bytes.get() ^ 0x40);
  bytes.seekp(static_cast<std::streamoff>(fs::file_size(file) / 2));
  bytes.put(flipped);
  bytes.close();
  EXPECT_EQ(cluster_->llmctl({"resume", std::to_string(id)}).code, 0);
  expect_unharmed(id);
  bool told = false;
  for (const auto& event : cluster_->events(id)) {
    told |= event["type"] == "CheckpointRemoved" && event.value("corrupt", false);
  }
  EXPECT_TRUE(told) << "nobody heard of the corruption";
}

TEST_F(Chaos, DownMakesAJobCheckpointAndTheNextUpContinuesIt) {
  const int64_t id = cluster_->submit(job_file_);
  cluster_->wait_step(id, random_step());
  const Output down = cluster_->llmctl({"down", "--timeout", "600"});
  EXPECT_EQ(down.code, 0) << down.err;
  EXPECT_TRUE(cluster_->trainer_pids(id).empty());
  cluster_->up();
  expect_unharmed(id);
  EXPECT_EQ(cluster_->show(id)["attempts"], 2);
  EXPECT_EQ(cluster_->show(id)["restarts"], 0) << "nobody failed";
}

TEST_F(Chaos, ARetryContinuesWhereTheFailedJobWas) {
  const int64_t id = cluster_->submit(job_file_, {"--set", "retry.max_restarts=0"});
  cluster_->wait_until(id, [](const auto& s) { return s["checkpoints"].size() >= 2; });
  for (const pid_t pid : cluster_->trainer_pids(id)) kill_hard(pid);
  const auto failed = cluster_->wait_state(id, "FAILED");
  EXPECT_EQ(failed["reason"], "retries_exhausted");
  const int64_t left_at = failed["checkpoints"].back()["step"];
  const auto retried = cluster_->json({"retry", std::to_string(id)})["jobs"][0];
  EXPECT_EQ(retried["retry_of"], id);
  expect_unharmed(retried["id"]);
  EXPECT_EQ(cluster_->show(retried["id"])["retry_of"], id);
  const auto metrics = cluster_->json({"metrics", retried["id"].dump(), "--name", "loss"});
  EXPECT_GT(metrics["series"][0]["points"][0][0], left_at) << "it began anew";
  EXPECT_EQ(cluster_->show(id)["state"], "FAILED") << "a final state is final";
}

// After a failed fsync nobody knows what the disk holds: the scheduler acknowledges nothing more
// and ends, and what it had acknowledged is there when it comes back.
TEST_F(Chaos, AFailedFsyncEndsTheSchedulerAndLosesNothing) {
  cluster_.reset();
  const std::string trigger = fs::temp_directory_path() / ("dying-" + std::to_string(getpid()));
  const std::string library = trigger + ".so";  // LD_PRELOAD takes no path with a space
  fs::copy_file(LLMCTL_BIN_DIR "/libfailing_fsync.so", library);
  setenv("LD_PRELOAD", library.c_str(), 1);
  setenv("FAILING_FSYNC", trigger.c_str(), 1);
  start();
  unsetenv("LD_PRELOAD");
  unsetenv("FAILING_FSYNC");
  const int64_t id = cluster_->submit(job_file_);
  cluster_->wait_step(id, 25);
  const pid_t scheduler = cluster_->scheduler_pid();
  std::ofstream(trigger) << "now";
  EXPECT_NE(cluster_->llmctl({"submit", job_file_}).code, 0) << "acknowledged, but not on disk";
  wait_gone(scheduler);
  fs::remove(trigger);
  cluster_->up();
  expect_unharmed(id);
  fs::remove(library);
}

// The jobs folder is a small tmpfs: checkpoints stop fitting, then space comes back.
TEST_F(Chaos, AFullDiskLosesNothing) {
  const std::string jobs = cluster_->home() / "jobs";
  if (mount("tmpfs", jobs.c_str(), "tmpfs", 0, "size=32m") != 0) {
    GTEST_SKIP() << "needs the right to mount a tmpfs";
  }
  const int64_t id = cluster_->submit(job_file_);
  cluster_->wait_until(id, [](const auto& s) { return !s["checkpoints"].empty(); });
  std::ofstream(jobs + "/ballast") << std::string(40 << 20, 'x');
  cluster_->wait_until(
      id, [](const auto& s) { return s["state"] != "RUNNING" || s["progress"]["step"] > 150; });
  fs::remove(jobs + "/ballast");
  expect_unharmed(id);
  cluster_->llmctl({"down", "--now"});
  umount2(jobs.c_str(), MNT_DETACH);
}

TEST_F(Chaos, RandomKillsOfEverythingLoseNothing) {
  const int64_t id = cluster_->submit(job_file_);
  std::string history;
  for (int i = 0; i < 6; ++i) {
    cluster_->wait_until(id, [&](const auto& s) {
      return s["progress"]["step"] >= 20 + i * 30 || s["state"] == "SUCCEEDED";
    });
    switch (random_() % 3) {
      case 0:
        history += " trainer";
        for (const pid_t pid : cluster_->trainer_pids(id)) kill_hard(pid);
        break;
      case 1:
        history += " worker";
        kill_hard(cluster_->worker_pid("w1"));
        break;
      default:
        history += " scheduler";
        kill_hard(cluster_->scheduler_pid());
    }
    cluster_->up();
  }
  SCOPED_TRACE("killed:" + history);
  expect_unharmed(id);
}

}  // namespace llmctl::e2e
