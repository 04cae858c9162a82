// Token for token as PyPI `tokenizers`, which is asked while the test runs: reference_tokenizers.py
// trains one tokenizer per family and answers for random strings. Skipped where it is not
// installed.
#include <algorithm>
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

void compare(const fs::path& directory, const std::string& kind, int at_least) {
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
  EXPECT_GT(compared, at_least);
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
    compare(scratch.path(), kind, 1000);
  }
}

// One tokenizer for each normalizer, pre-tokenizer, behavior, decoder and model that a BPE or
// Unigram file may use. LLMCTL_TOKENIZER_FILES: more tokenizer.json files, with spaces between.
TEST(ReferenceTokenizer, AgreesOnEveryComponent) {
  const std::string python = python_with("tokenizers");
  if (python.empty()) {
    GTEST_SKIP() << "no Python with tokenizers: set LLMCTL_PYTHON";
  }
  const Scratch scratch;
  const char* files = std::getenv("LLMCTL_TOKENIZER_FILES");
  const int strings = std::min(count_of("LLMCTL_TOKENIZER_STRINGS", 200), 5000);
  const std::string command =
      python + " '" LLMCTL_SOURCE_DIR "/tests/trainer/tokenizer/reference_components.py' " +
      scratch.path().string() + " " + std::to_string(strings) + " " +
      (files == nullptr ? "" : files);
  ASSERT_EQ(std::system(command.c_str()), 0);
  int kinds = 0;
  for (const auto& entry : fs::directory_iterator(scratch.path())) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(".jsonl")) continue;
    compare(scratch.path(), name.substr(0, name.size() - 6), 200);
    ++kinds;
  }
  EXPECT_GT(kinds, 90);
}

}  // namespace
}  // namespace llmctl
