// A store written by an older llmctl is read as it was: formats outlive refactoring.
#include <gtest/gtest.h>

#include <filesystem>

#include "scheduler/store/job_row.h"
#include "scheduler/store/sqlite_archive.h"
#include "scheduler/store/sqlite_store.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;

class OldStore : public ::testing::Test {
 protected:
  void SetUp() override {  // a copy: opening writes
    std::string name = (fs::temp_directory_path() / "llmctl-old-store-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    fs::copy_file(LLMCTL_SOURCE_DIR "/tests/fixtures/cluster-2026-11/store.db", path());
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path() const { return folder_ / "store.db"; }

  fs::path folder_;
};

TEST_F(OldStore, GivesTheLiveJobAndTheWorker) {
  auto store = SqliteStore::open(path());
  ASSERT_TRUE(store.ok()) << store.error().message;
  const auto state = (*store)->load();
  ASSERT_TRUE(state.ok()) << state.error().message;
  EXPECT_EQ(state->last_job, JobId{2});
  ASSERT_EQ(state->jobs.size(), 1U);
  const Job& job = state->jobs.at(JobId{2});
  EXPECT_EQ(job.state, JobState::queued);
  EXPECT_EQ(job.spec->name, "waiting");
  EXPECT_EQ(job.spec->resources.device_name, "none such");
  EXPECT_EQ(job.spec->max_steps, 12);
  ASSERT_EQ(state->workers.size(), 1U);
  EXPECT_EQ(state->workers.begin()->second.name, "w1");
}

TEST_F(OldStore, GivesTheFinishedJobWithItsCheckpointsAndSeries) {
  ASSERT_TRUE(SqliteStore::open(path()).ok());
  const auto archive = SqliteArchive::open(path());
  ASSERT_TRUE(archive.ok()) << archive.error().message;
  const auto record = (*archive)->job(JobId{1});
  ASSERT_TRUE(record.ok()) << record.error().message;
  const auto job = finished_job(*record);
  ASSERT_TRUE(job.ok()) << job.error().message;
  EXPECT_EQ(job->state, JobState::succeeded);
  EXPECT_EQ(job->spec->name, "before-rooms");
  EXPECT_EQ(job->progress.step, 12);
  EXPECT_NEAR(job->progress.loss, 3.147, 1e-3);
  ASSERT_EQ(job->checkpoints.size(), 2U);
  EXPECT_EQ(job->checkpoints[0].commit.step, 6);
  EXPECT_EQ(job->checkpoints[1].commit.step, 12);
}

}  // namespace
}  // namespace llmctl
