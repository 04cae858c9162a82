#include "trainer/commands/command_line.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <sstream>
#include <stdexcept>

namespace llmctl {
namespace {

struct ReadFlags {
  std::string text;
  int64_t count = 7;
  double amount = 0.5;
  bool on = false;
  Result<std::vector<std::string>> operands = std::vector<std::string>();
};

ReadFlags read_flags(const std::vector<std::string>& args) {
  ReadFlags read;
  read.operands = read_arguments(args, {.values = {{"--text", into(read.text)},
                                                   {"-n", count_into(read.count)},
                                                   {"--amount", amount_into(read.amount)}},
                                        .switches = {{"--on", &read.on}}});
  return read;
}

std::string error_of(const std::vector<std::string>& args) {
  const ReadFlags read = read_flags(args);
  return read.operands.ok() ? "" : read.operands.error().message;
}

TEST(CommandLine, TellsFlagsSwitchesAndOperandsApart) {
  const ReadFlags all =
      read_flags({"a", "--text", "--on", "-n", "3", "--on", "b", "--amount", "0"});
  ASSERT_TRUE(all.operands.ok());
  EXPECT_EQ(*all.operands, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(all.text, "--on") << "a value may look like a flag";
  EXPECT_EQ(all.count, 3);
  EXPECT_EQ(all.amount, 0);
  EXPECT_TRUE(all.on);
}

TEST(CommandLine, KeepsWhatWasNotGiven) {
  const ReadFlags none = read_flags({});
  EXPECT_TRUE(none.operands.ok());
  EXPECT_EQ(none.count, 7);
  EXPECT_FALSE(none.on);
}

TEST(CommandLine, NamesTheFlagThatIsWrong) {
  EXPECT_EQ(error_of({"--other", "x"}), "unknown option --other");
  EXPECT_EQ(error_of({"--text"}), "--text: its value is missing");
  EXPECT_EQ(error_of({"-n", "0"}), "-n: expected a number above 0, got \"0\"");
  EXPECT_EQ(error_of({"-n", "3x"}), "-n: expected a number above 0, got \"3x\"");
  EXPECT_EQ(error_of({"--amount", "-1"}),
            "--amount: expected a number that is not negative, got \"-1\"");
}

TEST(CommandLine, TheExitCodeSaysWhoseFaultItWas) {
  std::ostringstream out;
  const auto code = [&](const std::function<Status()>& work) {
    return run_command({"x"}, "usage", out, work);
  };
  EXPECT_EQ(code([] { return ok_status(); }), 0);
  EXPECT_EQ(code([]() -> Status { return invalid("no"); }), 2);
  EXPECT_EQ(code([]() -> Status { throw std::runtime_error("from LibTorch"); }), 2);
  out.setstate(std::ios::badbit);
  EXPECT_EQ(code([] { return ok_status(); }), 1);
}

}  // namespace
}  // namespace llmctl
