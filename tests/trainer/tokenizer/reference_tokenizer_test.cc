// Token for token as PyPI `tokenizers`, which is asked while the test runs: reference_tokenizers.py
// trains one tokenizer per family and answers for random strings. Skipped where it is not
// installed.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/trainer/python.h"
#include "tests/trainer/scratch.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;

int count_of(const char* variable, int otherwise) {
  const char* value = std::getenv(variable);
  return value == nullptr ? otherwise : std::atoi(value);
}

void compare(const fs::path& directory, const std::string& kind) {
  const auto tokenizer = Tokenizer::load(directory / (kind + ".tokenizer.json"));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  Encoder encoder(*tokenizer);
  std::ifstream lines(directory / (kind + ".jsonl"));
  int compared = 0, wrong = 0;
  for (std::string line; wrong < 10 && std::getline(lines, line); ++compared) {
    const auto golden = nlohmann::json::parse(line);
    const std::string text = golden["text"];
    const auto expected = golden["ids"].get<std::vector<int32_t>>();
    std::vector<int32_t> ids;
    ASSERT_TRUE(encoder.append(text, ids).ok());
    wrong += ids != expected;
    const std::string shown = golden["text"].dump(-1, ' ', true).substr(0, 400);
    EXPECT_EQ(ids, expected) << kind << ": " << shown;
    EXPECT_EQ(*tokenizer->encode(text), ids) << kind << ": the cache changes ids of " << shown;
    EXPECT_EQ(tokenizer->decode(expected), golden["decoded"].get<std::string>())
        << kind << ": " << shown;
  }
  EXPECT_GT(compared, 1000);
}

// LLMCTL_TOKENIZER_STRINGS=100000 makes it the long run.
TEST(ReferenceTokenizer, AgreesOnRandomUnicodeForEveryFamily) {
  const std::string python = python_with("tokenizers");
  if (python.empty()) {
    GTEST_SKIP() << "no Python with tokenizers: set LLMCTL_PYTHON";
  }
  const Scratch scratch;
  std::string command =
      python + " '" LLMCTL_SOURCE_DIR "/tests/trainer/tokenizer/reference_tokenizers.py' " +
      scratch.path().string() + " " + std::to_string(count_of("LLMCTL_TOKENIZER_STRINGS", 3000));
  const fs::path data = fs::path(LLMCTL_SOURCE_DIR) / "../shared/data";
  if (count_of("LLMCTL_TOKENIZER_STRINGS", 0) > 0 && fs::exists(data)) {
    for (const char* name : {"tinyshakespeare.txt", "wikitext2-test.txt", "gsm8k-test.jsonl"}) {
      command += " " + (data / name).string();
    }
  }
  ASSERT_EQ(std::system(command.c_str()), 0);
  for (const char* kind : {"gpt2", "llama3", "qwen", "sentencepiece"}) {
    compare(scratch.path(), kind);
  }
}

}  // namespace
}  // namespace llmctl
