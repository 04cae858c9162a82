#include "trainer/commands/tokenizer.h"

#include <sstream>

#include "tests/trainer/scratch.h"

namespace llmctl {
namespace {

struct Answer {
  int code;
  std::string text;
};

Answer run(const std::vector<std::string>& args, const std::string& input) {
  std::istringstream in(input);
  std::ostringstream out;
  const int code = tokenizer_command(args, in, out);
  return {code, out.str()};
}

TEST(TokenizerCommand, LinesGiveOneArrayEachAndComeBack) {
  const std::string text = "ab\n\ncafé  \n";
  const Answer ids = run({"encode", "--tokenizer", "bytes", "--lines"}, text);
  EXPECT_EQ(ids.text, "[97,98]\n[]\n[99,97,102,195,169,32,32]\n");
  EXPECT_EQ(run({"decode", "--tokenizer", "bytes", "--lines"}, ids.text).text, text);
}

TEST(TokenizerCommand, AWholeTextIsOneArray) {
  const Answer ids = run({"encode", "--tokenizer", "bytes"}, "a\nb");
  EXPECT_EQ(ids.text, "[97,10,98]\n");
  EXPECT_EQ(run({"decode", "--tokenizer", "bytes"}, ids.text).text, "a\nb");
}

TEST(TokenizerCommand, LearnsATokenizerWithSpecialTokens) {
  const Scratch scratch;
  write_file(scratch.path() / "d.jsonl", "{\"q\":\"the cat the hat the bat\"}\n");
  const std::string file = scratch.path() / "tokenizer.json";
  const Answer trained = run({"train", "--vocab-size", "262", "--special", "<think>", "--field",
                              "q", "-o", file, scratch.path() / "d.jsonl"},
                             "");
  ASSERT_EQ(trained.code, 0);
  const Answer ids = run({"encode", "--tokenizer", file}, "<think><|endoftext|>");
  EXPECT_EQ(ids.text, "[261,260]\n");  // 256 bytes and 4 merges come before
}

TEST(TokenizerCommand, RefusesWhatItDoesNotUnderstand) {
  EXPECT_EQ(run({}, "").code, 2);
  EXPECT_EQ(run({"encode"}, "").code, 2);
  EXPECT_EQ(run({"encode", "--tokenizer"}, "").code, 2);
  EXPECT_EQ(run({"decode", "--tokenizer", "bytes", "--lines"}, "[1]\n[\"x\"]\n").code, 2);
  EXPECT_EQ(run({"train", "--vocab-size", "many", "-o", "x", "y"}, "").code, 2);
}

}  // namespace
}  // namespace llmctl
