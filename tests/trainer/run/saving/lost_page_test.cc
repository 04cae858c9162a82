// A file that becomes shorter while it is mapped.
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/run/run_config.h"
#include "tests/trainer/scratch.h"
#include "trainer/files/mapped_file.h"
#include "trainer/run/saving/signals.h"

namespace llmctl {
namespace {

constexpr size_t kBytes = 1 << 20;

// Reads the end of a mapped file after it was cut, as a run would. Its words go to standard error.
void read_what_is_gone(const std::filesystem::path& file, bool input) {
  signals::listen();
  dup2(STDERR_FILENO, STDOUT_FILENO);
  const auto mapped = MappedFile::open(file, input);
  std::filesystem::resize_file(file, 0);
  const volatile std::byte* bytes = (*mapped)->bytes().data();
  const std::byte last = bytes[kBytes - 1];
  _exit(static_cast<int>(last));
}

TEST(LostPage, OfDataIsBadInputThatNamesTheFile) {
  const Scratch scratch;
  const auto file = scratch.path() / "data \"x\".txt";
  write_file(file, std::string(kBytes, 'a'));
  EXPECT_EXIT(read_what_is_gone(file, true),
              ::testing::ExitedWithCode(exit_code(Outcome::bad_input)),
              R"("outcome":"bad_input","detail":".*x.*txt became shorter while it was read"})");
}

TEST(LostPage, OfOurOwnFilesIsACrashThatNamesTheFile) {
  const Scratch scratch;
  const auto file = scratch.path() / "tokens.bin";
  write_file(file, std::string(kBytes, 'a'));
  EXPECT_EXIT(read_what_is_gone(file, false),
              ::testing::ExitedWithCode(exit_code(Outcome::crashed)), "tokens.bin became shorter");
}

}  // namespace
}  // namespace llmctl
