#include "trainer/data/sources/source_hash.h"

#include "core/base/clock.h"
#include "tests/trainer/scratch.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;

class SourceHash : public testing::Test {
 protected:
  SourceHash() { write_file(file_, "some text"); }
  std::string hash(Millis later = 60'000) {
    return *hash_sources({{file_, false, ""}}, cache_, SystemClock().unix_ms() + later, {});
  }
  // Makes what is remembered recognizable.
  bool replace_memory(const std::string& with) {
    bool found = false;
    if (!fs::exists(cache_)) return false;
    for (const auto& entry : fs::directory_iterator(cache_)) {
      write_file(entry.path(), with);
      found = true;
    }
    return found;
  }

  Scratch scratch_;
  fs::path file_ = scratch_.path() / "t.txt", cache_ = scratch_.path() / "cache";
};

TEST_F(SourceHash, UnchangedFilesAreNotReadAgain) {
  hash();
  const std::string other(32, 'a');
  ASSERT_TRUE(replace_memory(other));
  EXPECT_EQ(hash(), other);
}

TEST_F(SourceHash, AnEditOfTheSameSizeAndTimeIsSeen) {
  const std::string before = hash();
  const auto time = fs::last_write_time(file_);
  write_file(file_, "gone text");
  fs::last_write_time(file_, time);
  EXPECT_NE(hash(), before);
}

TEST_F(SourceHash, AFileChangedJustNowIsNotRemembered) {
  hash(0);
  EXPECT_FALSE(replace_memory("x"));
}

TEST_F(SourceHash, DamagedMemoryIsIgnored) {
  const std::string right = hash();
  ASSERT_TRUE(replace_memory(right.substr(1)));
  EXPECT_EQ(hash(), right);
}

TEST_F(SourceHash, DependsOnContentAndFieldAndNotOnThePath) {
  const std::string right = hash();
  write_file(scratch_.path() / "copy.txt", "some text");
  EXPECT_EQ(*hash_sources({{scratch_.path() / "copy.txt", false, ""}}, cache_, 0, {}), right);
  EXPECT_NE(*hash_sources({{file_, true, "text"}}, cache_, 0, {}), right);
}

}  // namespace
}  // namespace llmctl
