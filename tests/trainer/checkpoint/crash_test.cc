// The promise "no crash touches an older checkpoint, and one with its final name is whole", tried
// at every system call of a save: once as a killed process (what was written stays) and once as a
// power cut (what was not fsynced is gone or torn).
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "tests/trainer/checkpoint/sample.h"
#include "tests/trainer/scratch.h"
#include "trainer/checkpoint/checkpoint.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;

// Saves (1, 8) over an existing (1, 7), dying before the n-th call; true when it died.
bool save_and_die_before(const fs::path& checkpoints, int n, const fs::path& journal) {
  const pid_t child = ::fork();
  if (child == 0) {
    int calls = 0;
    std::ofstream log(journal, std::ios::app);
    SaveOptions options;
    options.on_disk_step = [&](std::string_view call, const fs::path& path) {
      if (calls++ == n) ::_exit(9);
      log << call << ' ' << path.string() << std::endl;
    };
    const auto saved = save_checkpoint(checkpoints, SampleCheckpoint(1, 8).content(), options);
    ::_exit(saved.ok() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 1);
  return WEXITSTATUS(status) == 9;
}

// Tears every file whose last write was not followed by its fsync, as a power cut may.
int lose_unsynced(const fs::path& journal) {
  std::map<std::string, bool> synced;
  std::ifstream log(journal);
  for (std::string call, path; log >> call >> path;) {
    if (call == "write" || call == "create") synced[path] = false;
    if (call == "fsync") synced[path] = true;
  }
  int torn = 0;
  for (const auto& [path, safe] : synced) {
    if (safe || !fs::is_regular_file(path)) continue;
    fs::resize_file(path, fs::file_size(path) / 2);
    ++torn;
  }
  return torn;
}

void expect_newest_is_whole(const fs::path& checkpoints, int n) {
  ASSERT_TRUE(load_checkpoint(checkpoints / "e1-s7").ok()) << "crash before call " << n;
  const auto found = newest_readable(list_checkpoints(checkpoints));
  ASSERT_TRUE(found.checkpoint.has_value());
  EXPECT_TRUE(found.rejected.empty()) << "a final name was not whole, call " << n;
  const SampleCheckpoint expected(1, found.checkpoint->step);
  EXPECT_TRUE(expected.equals(*found.checkpoint));
}

TEST(CheckpointCrash, AtAnyCallLeavesTheOldOneAndNoHalfOne) {
  int n = 0;
  for (bool died = true; died; ++n) {
    const Scratch scratch;
    const fs::path checkpoints = scratch.path() / "checkpoints";
    ASSERT_TRUE(save_checkpoint(checkpoints, SampleCheckpoint(1, 7).content(), {}).ok());
    died = save_and_die_before(checkpoints, n, scratch.path() / "journal");
    expect_newest_is_whole(checkpoints, n);
    // The next attempt is not in the way of its predecessor's remains.
    if (list_checkpoints(checkpoints).size() == 1) {
      EXPECT_TRUE(save_checkpoint(checkpoints, SampleCheckpoint(1, 8).content(), {}).ok());
    }
    expect_newest_is_whole(checkpoints, n);
  }
  EXPECT_GT(n, 14);  // mkdir, 4 files x (create, write, fsync), directory, rename, parent
}

TEST(CheckpointCrash, PowerCutAtAnyCallLeavesTheOldOneAndNoHalfOne) {
  int torn = 0;
  bool died = true;
  for (int n = 0; died; ++n) {
    const Scratch scratch;
    const fs::path checkpoints = scratch.path() / "checkpoints";
    ASSERT_TRUE(save_checkpoint(checkpoints, SampleCheckpoint(1, 7).content(), {}).ok());
    died = save_and_die_before(checkpoints, n, scratch.path() / "journal");
    torn += lose_unsynced(scratch.path() / "journal");
    expect_newest_is_whole(checkpoints, n);
  }
  EXPECT_GT(torn, 4);
}

}  // namespace
}  // namespace llmctl
