// Reading logs: tail, follow, cancel and rotation, on real files.
#include "worker/runs/log_reader.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/processes/test_folder.h"

namespace llmctl::worker {
namespace {

namespace fs = std::filesystem;

class LogReadersTest : public ::testing::Test {
 protected:
  void append(const std::string& text, const char* file = "log.txt") const {
    std::ofstream(directory / file, std::ios::app | std::ios::binary) << text;
  }
  void rotate() const { fs::rename(directory / "log.txt", directory / "log.1.txt"); }
  void ask(int64_t tail_bytes, bool follow) {
    readers.receive({1, {JobId{7}, Epoch{1}, 0}, tail_bytes, follow, false});
  }
  // Everything there is now.
  std::string read() {
    std::string text;
    for (;;) {
      const auto pieces = readers.read(1 << 20);
      for (const LogData& piece : pieces) {
        text += piece.data;
        ended |= piece.end;
        error = piece.error;
      }
      if (pieces.empty()) return text;
    }
  }

  const testing::TestFolder folder{"logs"};
  const fs::path directory = folder.path();
  bool known = true, ended = false;
  std::string error;
  LogReaders readers{
      [this](const RunKey&) { return known ? std::optional(directory) : std::nullopt; }};
};

TEST_F(LogReadersTest, GivesTheWholeLogAndEnds) {
  append("older\n", "log.1.txt");
  append("newer\n");
  ask(0, false);
  EXPECT_EQ(read(), "older\nnewer\n");
  EXPECT_TRUE(ended);
  EXPECT_TRUE(readers.idle());
}

TEST_F(LogReadersTest, ARunThatSaidNothingHasAnEmptyLogOnceItHasEnded) {
  ask(0, false);
  EXPECT_EQ(read(), "");
  EXPECT_EQ(error, "this rank has written no log yet");
  append("{}", "exit.json");
  ask(0, false);
  EXPECT_EQ(read(), "");
  EXPECT_EQ(error, "");
  EXPECT_TRUE(ended);
}

TEST_F(LogReadersTest, TheTailReachesIntoTheOlderHalf) {
  append("0123456789", "log.1.txt");
  append("abc");
  ask(5, false);
  EXPECT_EQ(read(), "89abc");
}

TEST_F(LogReadersTest, FollowsUntilTheRunHasEnded) {
  append("a");
  ask(0, true);
  EXPECT_EQ(read(), "a");
  EXPECT_FALSE(ended);
  append("b");
  EXPECT_EQ(read(), "b");
  append("c");
  append("{}", "exit.json");
  EXPECT_EQ(read(), "c");
  EXPECT_TRUE(ended);
}

TEST_F(LogReadersTest, FollowsThroughARotation) {
  append("a");
  ask(0, true);
  EXPECT_EQ(read(), "a");
  append("b");
  rotate();
  append("c");
  EXPECT_EQ(read(), "bc");
}

TEST_F(LogReadersTest, FollowsALogThatDoesNotExistYet) {
  ask(0, true);
  EXPECT_EQ(read(), "");
  append("first");
  EXPECT_EQ(read(), "first");
}

TEST_F(LogReadersTest, ACanceledReaderIsForgotten) {
  append("a");
  ask(0, true);
  readers.receive({1, {}, 0, false, true});
  EXPECT_EQ(read(), "");
  EXPECT_TRUE(readers.idle());
}

TEST_F(LogReadersTest, PiecesTogetherStayWithinTheLimit) {
  append(std::string(500'000, 'x'));
  ask(0, false);
  size_t bytes = 0;
  for (const LogData& piece : readers.read(10'000)) bytes += piece.data.size();
  EXPECT_EQ(bytes, 10'000U);
  EXPECT_EQ(read().size(), 490'000U);
}

TEST_F(LogReadersTest, AnUnknownRunIsAnErrorThatSaysSo) {
  known = false;
  ask(0, true);
  EXPECT_EQ(read(), "");
  EXPECT_TRUE(ended);
  EXPECT_NE(error.find("not on this worker"), std::string::npos) << error;
}

TEST_F(LogReadersTest, TooManyReadersAreRefused) {
  append("a");
  for (int i = 1; i <= 64; ++i) readers.receive({i, {}, 0, true, false});
  readers.receive({65, {}, 0, true, false});
  for (const LogData& piece : readers.read(1 << 20)) {
    EXPECT_EQ(piece.error.empty(), piece.request != 65) << piece.request;
  }
}

}  // namespace
}  // namespace llmctl::worker
