// Token for token as the reference implementation (PyPI `tokenizers`): its answers are in golden/,
// written by make_tokenizer_golden.py. The two large public tokenizers and the whole-file runs need
// the texts in ../shared/data beside the repository and say so when they are absent.
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/trainer/scratch.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(LLMCTL_SOURCE_DIR) / "tests/trainer/tokenizer/golden";
const fs::path kData = fs::path(LLMCTL_SOURCE_DIR) / "../shared/data";

// Loaded once each; nullptr when the file is absent.
const Tokenizer* tokenizer_named(const std::string& name) {
  static std::map<std::string, std::optional<Tokenizer>> loaded;
  const auto [entry, is_new] = loaded.try_emplace(name);
  if (is_new) {
    const bool large = name.ends_with(".json");
    const fs::path file =
        large ? kData / "tokenizers" / name : kGolden / (name + ".tokenizer.json");
    if (large && !fs::exists(file)) {
      std::cerr << "SKIPPED: " << file << " is absent\n";
      return nullptr;
    }
    auto tokenizer = Tokenizer::load(file);
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
    if (tokenizer.ok()) entry->second = std::move(*tokenizer);
  }
  return entry->second ? &*entry->second : nullptr;
}

TEST(TokenizerParity, RandomUnicodeGivesTheReferenceIds) {
  std::ifstream lines(kGolden / "tokenizer_cases.jsonl");
  int compared = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto golden = nlohmann::json::parse(line);
    const std::string name = golden["tokenizer"];
    const Tokenizer* tokenizer = tokenizer_named(name);
    if (tokenizer == nullptr) continue;
    const std::string text = golden["text"];
    const auto ids = tokenizer->encode(text);
    ASSERT_TRUE(ids.ok()) << ids.error().message;
    EXPECT_EQ(*ids, golden["ids"].get<std::vector<int32_t>>())
        << name << ": " << golden["text"].dump(-1, ' ', true);
    EXPECT_EQ(tokenizer->decode(*ids), golden.value("decoded", text)) << name;
    ++compared;
  }
  EXPECT_GE(compared, 7 * 60);
}

TEST(TokenizerParity, WholeTextsGiveTheReferenceIds) {
  if (!fs::exists(kData)) GTEST_SKIP() << kData << " is absent: no texts to compare on";
  const auto golden = nlohmann::json::parse(read_file(kGolden / "tokenizer_files.json"));
  for (const auto& one : golden) {
    const std::string name = one["tokenizer"], file = one["file"];
    const Tokenizer* tokenizer = tokenizer_named(name);
    ASSERT_NE(tokenizer, nullptr) << name;
    const auto ids = tokenizer->encode(read_file(kData / file));
    ASSERT_TRUE(ids.ok()) << ids.error().message;
    uint64_t hash = 0xCBF29CE484222325;
    for (const int32_t id : *ids) {
      for (int byte = 0; byte < 4; ++byte) {
        hash = (hash ^ ((static_cast<uint32_t>(id) >> (8 * byte)) & 0xFF)) * 0x100000001B3;
      }
    }
    EXPECT_EQ(ids->size(), one["count"].get<size_t>()) << name << " on " << file;
    EXPECT_EQ(std::to_string(hash), one["fnv1a"].get<std::string>()) << name << " on " << file;
  }
}

}  // namespace
}  // namespace llmctl
