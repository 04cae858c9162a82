#include "trainer/checkpoint/checkpoint.h"

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/trainer/checkpoint/sample.h"
#include "tests/trainer/scratch.h"
#include "trainer/files/content_hash.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;

TEST(Checkpoint, GivesBackWhatWasSaved) {
  const Scratch scratch;
  const SampleCheckpoint sample(1, 200);
  const auto saved = save_checkpoint(scratch.path() / "checkpoints", sample.content(), {});
  ASSERT_TRUE(saved.ok()) << saved.error().message;
  EXPECT_EQ(saved->name, "e1-s200");

  const auto loaded = load_checkpoint(scratch.path() / "checkpoints" / saved->name);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded->epoch, 1);
  EXPECT_EQ(loaded->step, 200);
  EXPECT_EQ(loaded->bytes, saved->bytes);
  EXPECT_EQ(loaded->manifest_hash, saved->manifest_hash);
  EXPECT_EQ(loaded->state, sample.content().state);
  EXPECT_TRUE(sample.equals(*loaded));
}

TEST(Checkpoint, SpansSeveralChecksumChunks) {
  const Scratch scratch;
  const std::vector<std::byte> big(9'000'001, std::byte{42});
  CheckpointContent content{1, 1, {{"rank-0", {{"w", DType::u8, {9'000'001}, big}}}}, {{"a", 1}}};
  const auto saved = save_checkpoint(scratch.path(), content, {});
  ASSERT_TRUE(saved.ok());
  const fs::path file = scratch.path() / "e1-s1" / "rank-0.safetensors";
  ASSERT_TRUE(load_checkpoint(scratch.path() / "e1-s1").ok());

  std::string bytes = read_file(file);
  bytes[5'000'000] = static_cast<char>(bytes[5'000'000] ^ 1);
  write_file(file, bytes);
  const auto loaded = load_checkpoint(scratch.path() / "e1-s1");
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().code, Code::data_loss);
  EXPECT_NE(loaded.error().message.find("between byte 4194304 and 8388608"), std::string::npos)
      << loaded.error().message;
}

TEST(Checkpoint, DetectsEverySingleFlippedBitOfEveryFile) {
  const Scratch scratch;
  const SampleCheckpoint sample(1, 7);
  ASSERT_TRUE(save_checkpoint(scratch.path(), sample.content(), {}).ok());
  const fs::path directory = scratch.path() / "e1-s7";
  int flips = 0;
  for (const char* name :
       {"rank-0.safetensors", "rank-1.safetensors", "state.json", "manifest.json"}) {
    const std::string good = read_file(directory / name);
    for (size_t bit = 0; bit < good.size() * 8; ++bit, ++flips) {
      std::string bad = good;
      bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
      write_file(directory / name, bad);
      const auto loaded = load_checkpoint(directory);
      ASSERT_FALSE(loaded.ok()) << name << " bit " << bit;
      ASSERT_EQ(loaded.error().code, Code::data_loss) << loaded.error().message;
    }
    write_file(directory / name, good);
  }
  EXPECT_GT(flips, 4'000);
  EXPECT_TRUE(load_checkpoint(directory).ok());
}

TEST(Checkpoint, DetectsEveryTruncation) {
  const Scratch scratch;
  const SampleCheckpoint sample(1, 7);
  ASSERT_TRUE(save_checkpoint(scratch.path(), sample.content(), {}).ok());
  const fs::path directory = scratch.path() / "e1-s7";
  for (const char* name : {"rank-0.safetensors", "state.json", "manifest.json"}) {
    const std::string good = read_file(directory / name);
    for (size_t size = 0; size < good.size(); ++size) {
      write_file(directory / name, std::string_view(good).substr(0, size));
      ASSERT_FALSE(load_checkpoint(directory).ok()) << name << " cut to " << size;
    }
    write_file(directory / name, good);
  }
}

TEST(Checkpoint, RefusesFilesSwappedBetweenSteps) {
  const Scratch scratch;
  ASSERT_TRUE(save_checkpoint(scratch.path(), SampleCheckpoint(1, 7).content(), {}).ok());
  ASSERT_TRUE(save_checkpoint(scratch.path(), SampleCheckpoint(1, 8).content(), {}).ok());
  fs::copy_file(scratch.path() / "e1-s7" / "rank-0.safetensors",
                scratch.path() / "e1-s8" / "rank-0.safetensors",
                fs::copy_options::overwrite_existing);
  EXPECT_FALSE(load_checkpoint(scratch.path() / "e1-s8").ok());
  fs::rename(scratch.path() / "e1-s7", scratch.path() / "e1-s9");
  EXPECT_FALSE(load_checkpoint(scratch.path() / "e1-s9").ok());
}

TEST(Checkpoint, NeverReplacesAnOldOneOfTheSameName) {
  const Scratch scratch;
  ASSERT_TRUE(save_checkpoint(scratch.path(), SampleCheckpoint(1, 7).content(), {}).ok());
  const std::string before = read_file(scratch.path() / "e1-s7" / "rank-0.safetensors");
  const auto again = save_checkpoint(scratch.path(), SampleCheckpoint(1, 7, 99).content(), {});
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, Code::already_exists);
  EXPECT_EQ(read_file(scratch.path() / "e1-s7" / "rank-0.safetensors"), before);
}

TEST(Checkpoint, IsNotCommittedWhenTheLeaseIsLost) {
  const Scratch scratch;
  SaveOptions options;
  options.before_commit = [] { return Status(Error{Code::aborted, "lease passed", ""}); };
  const auto saved = save_checkpoint(scratch.path(), SampleCheckpoint(1, 7).content(), options);
  ASSERT_FALSE(saved.ok());
  EXPECT_EQ(saved.error().code, Code::aborted);
  EXPECT_TRUE(fs::is_empty(scratch.path()));
}

// In a child, because the limit cannot be taken back.
TEST(Checkpoint, FullDiskIsNamedAndKeepsTheOldOne) {
  const Scratch scratch;
  const std::vector<std::byte> big(3 << 20);
  const CheckpointContent content{
      1, 8, {{"rank-0", {{"w", DType::u8, {3 << 20}, big}}}}, {{"step", 8}}};
  ASSERT_TRUE(save_checkpoint(scratch.path(), SampleCheckpoint(1, 7).content(), {}).ok());
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 20, 1 << 20};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto saved = save_checkpoint(scratch.path(), content, {});
    ::_exit(!saved.ok() && saved.error().code == Code::resource_exhausted ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(list_checkpoints(scratch.path()), std::vector{scratch.path() / "e1-s7"});
  EXPECT_FALSE(fs::exists(scratch.path() / "e1-s8.tmp"));
  EXPECT_TRUE(load_checkpoint(scratch.path() / "e1-s7").ok());
}

TEST(Checkpoint, FreeSpaceIsAskedForBeforeAnythingIsWritten) {
  const Scratch scratch;
  if (::mount("tmpfs", scratch.path().c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "mounting a tmpfs needs root";
  }
  const std::vector<std::byte> big(3 << 20);
  const CheckpointContent content{
      1, 8, {{"rank-0", {{"w", DType::u8, {3 << 20}, big}}}}, {{"step", 8}}};
  SaveOptions options;
  int steps = 0;
  options.on_disk_step = [&](std::string_view, const fs::path&) { ++steps; };
  const auto saved = save_checkpoint(scratch.path() / "checkpoints", content, options);
  ::umount(scratch.path().c_str());
  ASSERT_FALSE(saved.ok());
  EXPECT_EQ(saved.error().code, Code::resource_exhausted);
  EXPECT_EQ(steps, 0);
}

TEST(NewestReadable, FallsBackPastDamagedOnesAndReportsThem) {
  const Scratch scratch;
  for (const int64_t step : {10, 20, 30}) {
    ASSERT_TRUE(save_checkpoint(scratch.path(), SampleCheckpoint(1, step).content(), {}).ok());
  }
  ASSERT_TRUE(save_checkpoint(scratch.path(), SampleCheckpoint(2, 25).content(), {}).ok());
  fs::remove(scratch.path() / "e2-s25" / "manifest.json");
  std::string bytes = read_file(scratch.path() / "e1-s30" / "rank-1.safetensors");
  bytes.back() = static_cast<char>(bytes.back() ^ 4);
  write_file(scratch.path() / "e1-s30" / "rank-1.safetensors", bytes);
  fs::create_directory(scratch.path() / "e9-s9.tmp");

  const auto list = list_checkpoints(scratch.path());
  ASSERT_EQ(list.size(), 4u);
  EXPECT_EQ(list.front().filename(), "e2-s25");
  const auto found = newest_readable(list);
  ASSERT_TRUE(found.checkpoint.has_value());
  EXPECT_EQ(found.checkpoint->path.filename(), "e1-s20");
  ASSERT_EQ(found.rejected.size(), 2u);
  EXPECT_EQ(found.rejected[0].path.filename(), "e2-s25");
  EXPECT_EQ(found.rejected[1].error.code, Code::data_loss);
}

TEST(Retention, KeepsTheNewestThatVerifyAndDeletesTheRest) {
  const Scratch scratch;
  for (const int64_t step : {10, 20, 30, 40, 50}) {
    ASSERT_TRUE(save_checkpoint(scratch.path(), SampleCheckpoint(1, step).content(), {}).ok());
  }
  write_file(scratch.path() / "e1-s50" / "state.json", "{}");
  fs::create_directory(scratch.path() / "e1-s60.tmp");
  fs::create_directory(scratch.path() / "e7-s60.tmp");

  CheckpointRetention retention(scratch.path(), 1);  // less than 2 counts as 2
  const auto removed = retention.prune(1);
  ASSERT_TRUE(removed.ok()) << removed.error().message;
  std::vector<std::pair<std::string, bool>> names;
  for (const auto& one : *removed) names.emplace_back(one.name, one.corrupt);
  EXPECT_EQ(names, (std::vector<std::pair<std::string, bool>>{
                       {"e1-s50", true}, {"e1-s20", false}, {"e1-s10", false}}));
  const auto left = list_checkpoints(scratch.path());
  EXPECT_EQ(left, (std::vector{scratch.path() / "e1-s40", scratch.path() / "e1-s30"}));
  EXPECT_FALSE(fs::exists(scratch.path() / "e1-s60.tmp"));
  EXPECT_TRUE(fs::exists(scratch.path() / "e7-s60.tmp"));  // a newer attempt's: not ours
}

TEST(Retention, KeepsTheBestAndWhatIsPinned) {
  const Scratch scratch;
  for (const int64_t step : {1, 2, 3, 4, 5, 6}) {
    ASSERT_TRUE(save_checkpoint(scratch.path(), SampleCheckpoint(1, step).content(), {}).ok());
  }
  write_file(scratch.path() / "e1-s1" / "pinned", "");
  CheckpointRetention retention(scratch.path(), 2);
  ASSERT_TRUE(retention.prune(1, /*best_step=*/3).ok());
  std::vector<std::string> names;
  for (const fs::path& path : list_checkpoints(scratch.path())) {
    names.push_back(path.filename().string());
    EXPECT_TRUE(load_checkpoint(path).ok()) << path;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"e1-s6", "e1-s5", "e1-s3", "e1-s1"}));
}

TEST(Retention, DeletesNothingWhenNothingVerifies) {
  const Scratch scratch;
  ASSERT_TRUE(save_checkpoint(scratch.path(), SampleCheckpoint(1, 10).content(), {}).ok());
  write_file(scratch.path() / "e1-s10" / "state.json", "{}");
  CheckpointRetention retention(scratch.path(), 2);
  const auto removed = retention.prune(1);
  ASSERT_TRUE(removed.ok());
  EXPECT_TRUE(removed->empty());
  EXPECT_TRUE(fs::exists(scratch.path() / "e1-s10"));
}

}  // namespace
}  // namespace llmctl
