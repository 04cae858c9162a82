#include "trainer/tokenizer/tokenizer.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "core/base/utf8.h"
#include "tests/trainer/scratch.h"
#include "trainer/tokenizer/parts.h"
#include "trainer/tokenizer/pieces/alphabet.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<int32_t> encoded(const Tokenizer& tokenizer, std::string_view text) {
  const auto ids = tokenizer.encode(text);
  EXPECT_TRUE(ids.ok());
  return ids.ok() ? *ids : std::vector<int32_t>{};
}

json small_file() {
  return {
      {"added_tokens", json::array()},
      {"normalizer", nullptr},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model",
       {{"type", "BPE"},
        {"vocab", {{"a", 0}, {"b", 1}, {"c", 2}, {"ab", 3}, {"abc", 4}}},
        {"merges", {"a b", "ab c"}}}}};
}

std::string refusal(const json& file) {
  const auto parsed = Tokenizer::parse(file.dump(), "t.json");
  if (parsed.ok()) return "accepted";
  EXPECT_EQ(parsed.error().code, Code::invalid_argument);
  return parsed.error().message;
}

TEST(ByteTokenizer, GivesEveryByteItsValue) {
  const Tokenizer tokenizer = Tokenizer::bytes();
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  const auto ids = encoded(tokenizer, all);
  ASSERT_EQ(ids.size(), 256u);
  for (int byte = 0; byte < 256; ++byte) EXPECT_EQ(ids[static_cast<size_t>(byte)], byte);
  EXPECT_EQ(tokenizer.decode(ids), all);
  EXPECT_EQ(tokenizer.vocab_size(), 257);
  EXPECT_EQ(tokenizer.eos(), 256);
}

TEST(ByteTokenizer, SavesAFileThatMeansTheSame) {
  const Scratch scratch;
  const Tokenizer tokenizer = Tokenizer::bytes();
  ASSERT_TRUE(tokenizer.save(scratch.path() / "tokenizer.json").ok());
  const auto loaded = Tokenizer::load(scratch.path() / "tokenizer.json");
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded->eos(), 256);
  EXPECT_EQ(loaded->fingerprint(), tokenizer.fingerprint());
  EXPECT_EQ(encoded(*loaded, "it's\xFF"), encoded(tokenizer, "it's\xFF"));
}

TEST(Tokenizer, DecodeUndoesEncodeForAnyBytes) {
  const auto trained = [] {
    const std::vector<std::string_view> texts{"the cat and the hat, the bat; 12 and 123 and 1234"};
    return train_bpe(texts, 300, {});
  }();
  ASSERT_TRUE(trained.ok());
  std::mt19937_64 random(5);
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (size_t n = random() % 60; n > 0; --n) {
      text.push_back(random() % 3 == 0 ? ' ' : static_cast<char>(random()));
    }
    EXPECT_EQ(trained->decode(encoded(*trained, text)), text);
  }
}

TEST(Tokenizer, MergesTheLowestRankFirst) {
  const auto tokenizer = Tokenizer::parse(small_file().dump(), "t.json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ(encoded(*tokenizer, "abcab"), (std::vector<int32_t>{4, 3}));
  EXPECT_EQ(encoded(*tokenizer, "axb"), std::vector<int32_t>{3});  // x has no token: dropped first
}

TEST(Tokenizer, TakesTheEndOfTextTokenFromTheConfigBesideTheFile) {
  const Scratch scratch;
  write_file(scratch.path() / "tokenizer.json", small_file().dump());
  EXPECT_EQ(Tokenizer::load(scratch.path() / "tokenizer.json")->eos(), std::nullopt);
  for (const char* config : {R"({"eos_token":"abc"})", R"({"eos_token":{"content":"abc"}})"}) {
    write_file(scratch.path() / "tokenizer_config.json", config);
    const auto loaded = Tokenizer::load(scratch.path() / "tokenizer.json");
    EXPECT_EQ(loaded->eos(), 4);
    fs::create_directory(scratch.path() / "copy");
    ASSERT_TRUE(loaded->save(scratch.path() / "copy" / "tokenizer.json").ok());
    EXPECT_EQ(Tokenizer::load(scratch.path() / "copy" / "tokenizer.json")->eos(), 4);
  }
}

// One piece of a million symbols: a merge that looked at all of them each time would take hours.
TEST(Tokenizer, EncodesAMegabyteOfOneLetter) {
  const std::string text(1 << 20, 'a');
  const std::vector<std::string_view> texts{std::string_view("aaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaa")};
  const auto tokenizer = train_bpe(texts, 262, {});
  ASSERT_TRUE(tokenizer.ok());
  const auto ids = encoded(*tokenizer, text);
  EXPECT_LT(ids.size(), text.size() / 8);
  EXPECT_EQ(tokenizer->decode(ids), text);
}

TEST(Tokenizer, APatternThatExplodesIsAnErrorNotAHang) {
  json file = small_file();
  file["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"}, {"pattern", {{"Regex", "(a+)+x"}}}, {"behavior", "Isolated"}},
        {{"type", "ByteLevel"}, {"use_regex", false}}}}};
  const auto tokenizer = Tokenizer::parse(file.dump(), "t.json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  const auto ids = tokenizer->encode(std::string(60, 'a') + "bx");
  ASSERT_FALSE(ids.ok());
  EXPECT_EQ(ids.error().code, Code::invalid_argument);
}

TEST(Tokenizer, LongRunsOfSpaceStayBelowTheMatchLimit) {
  const auto tokenizer = Tokenizer::load(std::string(LLMCTL_SOURCE_DIR) +
                                         "/tests/trainer/tokenizer/golden/llama3.tokenizer.json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  const std::string text = "x" + std::string(8 << 20, ' ') + "y" + std::string(8 << 20, '\n') + "z";
  const auto ids = tokenizer->encode(text);
  ASSERT_TRUE(ids.ok()) << ids.error().message;
  EXPECT_EQ(tokenizer->decode(*ids), text);
}

TEST(TokenizerFile, RefusesWhatItCannotHonourByName) {
  const auto with = [](const char* pointer, const json& value) {
    json file = small_file();
    file[json::json_pointer(pointer)] = value;
    return refusal(file);
  };
  const auto says = [](const std::string& message, const std::string& words) {
    EXPECT_NE(message.find(words), std::string::npos) << message << "\nlacks: " << words;
  };
  says(with("/model/type", "WordPiece"), "t.json: model.type: \"WordPiece\" is not supported");
  says(with("/model/dropout", 0.1), "model.dropout: dropout is not supported");
  says(with("/model/vocab/c", 4), "id 4 is already that of");
  says(with("/model/vocab/c", -1), "\"c\": id -1 is not between 0 and");
  says(with("/model/vocab/c", 9'000'000'000), "is not between 0 and");
  says(with("/model/vocab/c", "2"), "model.vocab[\"c\"]: expected a whole number");
  says(with("/model/merges/1", "ab d"), "model.merges[1]: \"d\" is not in the vocabulary");
  says(with("/model/merges/1", "b c"), "model.merges[1]: the merged \"bc\" is not in");
  says(with("/model/merges/1", "a b"), "model.merges[1]: \"a\" and \"b\" are merged twice");
  says(with("/model/merges/1", "a b c"), "model.merges[1]: expected two tokens");
  says(with("/model/merges/1", json::array({"a"})), "model.merges[1]: expected");
  says(with("/model/unk_token", "<unk>"), "model: unk_token \"<unk>\" is not in the vocabulary");
  says(with("/normalizer", {{"type", "Smooth"}}), "normalizer.type: \"Smooth\"");
  says(with("/pre_tokenizer/type", "Commas"), "pre_tokenizer.type: \"Commas\"");
  const auto split = [&](const std::string& pattern, const std::string& behavior) {
    const json cut = {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", behavior}};
    return with("/pre_tokenizer", cut);
  };
  says(split(" ", "Torn"), "pre_tokenizer.behavior: \"Torn\" is not supported");
  says(split("\\p{Emoji}", "Isolated"), "pre_tokenizer.pattern: \\p{Emoji} is not supported");
  says(split("[[:upper:]]", "Isolated"), "[:upper:] is not supported");
  says(split("(?x)a", "Isolated"), "(?x) is not supported");
  says(split("a)(b", "Isolated"), "a ) has no (");
  const auto unigram = [&](const char* vocab) {
    return with("/model", {{"type", "Unigram"}, {"vocab", json::parse(vocab)}, {"unk_id", 1}});
  };
  says(unigram(R"([["a", 0.0]])"), "model: unk_id 1 is not in the vocabulary");
  says(unigram(R"([["a"]])"), "model.vocab[0]: expected [");
  says(with("/normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "AAAA"}}),
       "normalizer.precompiled_charsmap: not the character map");
  says(with("/decoder/type", "WordPiece"), "decoder.type: \"WordPiece\" is not supported");
  says(with("/added_tokens", {{{"id", 1}, {"content", "new"}}}),
       "added_tokens[0].id: is already that of another token");
  says(with("/added_tokens", {{{"id", 7}, {"content", "ab"}}}),
       "added_tokens[0].id: the vocabulary gives this token the id 3");
  says(with("/model", json::array()), "model: expected an object");
}

TEST(Tokenizer, ATextBeginsAsThePostProcessorOrTheConfigSays) {
  const Scratch scratch;
  const auto load = [&](const json& processor, const char* config) {
    json file = small_file();
    file["post_processor"] = processor;
    write_file(scratch.path() / "tokenizer.json", file.dump());
    write_file(scratch.path() / "tokenizer_config.json", config);
    return Tokenizer::load(scratch.path() / "tokenizer.json");
  };
  const json begins = json::parse(R"({"type":"Sequence","processors":[{"type":"ByteLevel"},
      {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"c","type_id":0}},
       {"Sequence":{"id":"A","type_id":0}}],"special_tokens":{"c":{"id":"c","ids":[2]}}}]})");
  const auto by_file = load(begins, "{}");
  ASSERT_TRUE(by_file.ok()) << by_file.error().message;
  EXPECT_EQ(*by_file->encode_whole("ab"), (std::vector<int32_t>{2, 3}));
  EXPECT_EQ(*by_file->encode_whole("cab"), (std::vector<int32_t>{2, 3}));  // not twice
  EXPECT_EQ(*by_file->encode("ab"), std::vector<int32_t>{3});
  const auto by_config = load(nullptr, R"({"bos_token":"b","add_bos_token":true})");
  EXPECT_EQ(*by_config->encode_whole("ab"), (std::vector<int32_t>{1, 3}));
  EXPECT_NE(by_config->fingerprint(), by_file->fingerprint());
  EXPECT_TRUE(load(nullptr, R"({"bos_token":"b"})")->begin().empty());
  const auto torn = load(begins, R"({"bos_token":"c","add_bos_token":false})");
  ASSERT_FALSE(torn.ok());
  EXPECT_NE(torn.error().message.find("add_bos_token: false"), std::string::npos);
}

TEST(Tokenizer, SavingKeepsWhatElseTheConfigSays) {
  const Scratch scratch;
  write_file(scratch.path() / "tokenizer_config.json", R"({"chat_template":"x","eos_token":"y"})");
  ASSERT_TRUE(Tokenizer::bytes().save(scratch.path() / "tokenizer.json").ok());
  const json config = json::parse(read_file(scratch.path() / "tokenizer_config.json"));
  EXPECT_EQ(config["chat_template"], "x");
  EXPECT_EQ(config["eos_token"], "<|endoftext|>");
}

TEST(TokenizerFile, RefusesTwiceTheSameToken) {
  const auto parsed = Tokenizer::parse(
      R"({"pre_tokenizer":{"type":"ByteLevel"},"model":{"vocab":{"a":0,"a":1},"merges":[]}})", "t");
  ASSERT_FALSE(parsed.ok());
  EXPECT_NE(parsed.error().message.find("\"a\" appears twice"), std::string::npos);
}

TEST(TokenizerFile, RefusesDeepJson) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_FALSE(Tokenizer::parse(deep, "t.json").ok());
  EXPECT_FALSE(Tokenizer::parse("", "t.json").ok());
}

TEST(TokenizerFile, AcceptsMergesAsPairs) {
  json file = small_file();
  file["model"]["merges"] = json::parse(R"([["a","b"],["ab","c"]])");
  const auto tokenizer = Tokenizer::parse(file.dump(), "t.json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ(encoded(*tokenizer, "abc"), std::vector<int32_t>{4});
}

// A word right behind an added token keeps the space that begins every piece of text
// (llama.cpp#7049, where it lost it).
TEST(Tokenizer, AWordBehindAnAddedTokenIsReadAsIfItStoodAlone) {
  std::ifstream golden(LLMCTL_SOURCE_DIR
                       "/tests/trainer/tokenizer/golden/sentencepiece.tokenizer.json");
  json file = json::parse(golden);
  auto id = static_cast<int32_t>(file["model"]["vocab"].size());
  for (const json& token : file["added_tokens"]) id = std::max(id, token["id"].get<int32_t>() + 1);
  file["added_tokens"].push_back({{"id", id},
                                  {"content", "<|im_start|>"},
                                  {"single_word", false},
                                  {"lstrip", false},
                                  {"rstrip", false},
                                  {"normalized", false},
                                  {"special", false}});
  const auto tokenizer = Tokenizer::parse(file.dump(), "t.json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  std::vector<int32_t> expected = encoded(*tokenizer, "user");
  expected.insert(expected.begin(), id);
  EXPECT_EQ(encoded(*tokenizer, "<|im_start|>user"), expected);
}

TEST(DecodeStream, NeverSplitsACharacter) {
  const Tokenizer tokenizer = Tokenizer::bytes();
  const std::string text = "aé漢😀\xFFz";
  DecodeStream stream(tokenizer);
  std::string whole;
  for (const int32_t id : encoded(tokenizer, text)) {
    const std::string piece = stream.push(id);
    for (std::string_view rest = piece; !rest.empty();) {
      const size_t length = utf8_length(rest);
      ASSERT_GT(length, 0u);
      rest.remove_prefix(length);
    }
    whole += piece;
  }
  EXPECT_EQ(whole + stream.finish(), "aé漢😀\uFFFDz");
  stream.push(0xE6);
  EXPECT_EQ(stream.finish(), "\uFFFD");
}

TEST(BpeTraining, IsDeterministicAndOfTheAskedSize) {
  const std::string text = read_file(std::string(LLMCTL_SOURCE_DIR) + "/core/job/job_spec.h");
  const std::vector<std::string_view> texts{text};
  const auto one = train_bpe(texts, 500, {});
  const auto two = train_bpe(texts, 500, {});
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_EQ(one->vocab_size(), 500);
  EXPECT_EQ(one->eos(), 499);
  EXPECT_EQ(one->fingerprint(), two->fingerprint());
  EXPECT_LT(encoded(*one, text).size() * 2, text.size());
}

TEST(BpeTraining, MergesTheMostFrequentPairAndSettlesTiesByIds) {
  // Words: "ab" x3, "cd" x3 -> a tie; (a,b) has the smaller ids.
  const std::vector<std::string_view> texts{"ab\ncd\nab\ncd\nab\ncd"};
  const auto tokenizer = train_bpe(texts, 300, {});
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ(tokenizer->id_of("ab"), 256);
  EXPECT_EQ(tokenizer->id_of("cd"), 257);
  EXPECT_EQ(tokenizer->vocab_size(), 259);  // nothing else occurs twice
}

TEST(BpeTraining, RefusesAVocabularyBelowTheBytes) {
  EXPECT_FALSE(train_bpe({}, 256, {}).ok());
  EXPECT_EQ(train_bpe({}, 257, {})->vocab_size(), 257);
}

// The oracle: recount everything after every merge.
TEST(BpeTraining, IncrementalCountsEqualRecounting) {
  std::mt19937_64 random(11);
  std::vector<std::string> words;
  std::string text;
  for (int i = 0; i < 400; ++i) {
    std::string word;
    for (size_t n = 2 + random() % 7; n > 0; --n)
      word.push_back(static_cast<char>('a' + random() % 3));
    text += (i > 0 ? "\n" : "") + word;
    words.push_back(word);
  }
  std::vector<std::vector<int32_t>> symbols;
  for (const auto& word : words) symbols.emplace_back(word.begin(), word.end());
  std::vector<std::pair<int32_t, int32_t>> merges;
  for (int32_t id = 256; id < 320; ++id) {
    std::map<std::pair<int32_t, int32_t>, int64_t> counts;
    for (const auto& word : symbols) {
      for (size_t i = 0; i + 1 < word.size(); ++i) ++counts[{word[i], word[i + 1]}];
    }
    auto best = counts.end();
    for (auto it = counts.begin(); it != counts.end(); ++it) {
      if (it->second >= 2 && (best == counts.end() || it->second > best->second)) best = it;
    }
    if (best == counts.end()) break;
    merges.push_back(best->first);
    for (auto& word : symbols) {
      std::vector<int32_t> merged;
      for (size_t i = 0; i < word.size(); ++i) {
        const bool here = i + 1 < word.size() && std::pair(word[i], word[i + 1]) == best->first;
        merged.push_back(here ? id : word[i]);
        i += here;
      }
      word = merged;
    }
  }
  const std::vector<std::string_view> texts{text};
  const auto tokenizer = train_bpe(texts, 257 + 64, {});
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ(tokenizer->fingerprint(),
            Tokenizer::parse(byte_level_json(merges), "x")->fingerprint());
}

}  // namespace
}  // namespace llmctl
