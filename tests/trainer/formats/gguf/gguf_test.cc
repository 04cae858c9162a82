// The GGUF container: what is written is read back, and files from strangers are refused.
#include "trainer/formats/gguf/gguf.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/model/model_config.h"
#include "tests/trainer/scratch.h"
#include "trainer/formats/gguf/model.h"
#include "trainer/formats/gguf/rope.h"
#include "trainer/formats/gguf/tokenizer.h"
#include "trainer/layout/parameter_layout.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;

GgufTensor f32_tensor(const std::string& name, const std::vector<float>& values) {
  const auto read = [values](std::span<float> out) {
    std::copy(values.begin(), values.end(), out.begin());
  };
  return {{name, {static_cast<int64_t>(values.size())}, read}, GgufType::f32};
}

class GgufTest : public ::testing::Test {
 protected:
  fs::path file() const { return scratch_.path() / "model.gguf"; }
  std::string refusal(const std::string& bytes) const {
    write_file(file(), bytes);
    const auto read = read_gguf(file());
    return read.ok() ? "" : read.error().message;
  }
  // One key and two tensors of two numbers.
  std::string small_file() {
    fs::remove(file());
    const std::vector<GgufTensor> tensors = {f32_tensor("first", {1, 2}),
                                             f32_tensor("second", {3, 4})};
    EXPECT_TRUE(write_gguf(file(), {{"key", std::string("value")}}, tensors).ok());
    return read_file(file());
  }

  Scratch scratch_;
};

// With `text` put in place of what stands behind the first `after`.
std::string changed(std::string bytes, const std::string& after, const std::string& text) {
  const size_t at = bytes.find(after);
  EXPECT_NE(at, std::string::npos);
  return bytes.replace(at + after.size(), text.size(), text);
}

std::string number(uint64_t value, size_t bytes = 8) {
  return {reinterpret_cast<const char*>(&value), bytes};
}

TEST_F(GgufTest, EveryKindOfValueIsReadBack) {
  const GgufMetadata metadata = {{"a", uint32_t{7}},
                                 {"b", int32_t{-7}},
                                 {"c", 0.5F},
                                 {"d", true},
                                 {"e", uint64_t{1} << 40},
                                 {"f", 0.1},
                                 {"g", std::string("text")},
                                 {"h", std::vector<int32_t>{1, -2}},
                                 {"i", std::vector<float>{1.5F}},
                                 {"j", std::vector<std::string>{"x", "", "yz"}}};
  ASSERT_TRUE(write_gguf(file(), metadata, std::vector{f32_tensor("t", {1, 2, 3})}).ok());
  const auto read = read_gguf(file());
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->metadata, metadata);
  ASSERT_EQ(read->tensors.size(), 1u);
  std::vector<float> values(3);
  read->tensors[0].read(values);
  EXPECT_EQ(values, (std::vector<float>{1, 2, 3}));
}

TEST_F(GgufTest, AFileCutOffAnywhereIsRefused) {
  const std::string whole = small_file();
  ASSERT_EQ(refusal(whole), "");
  // Behind the last number there is only padding.
  for (size_t size = 0; size + 24 < whole.size(); ++size) {
    EXPECT_NE(refusal(whole.substr(0, size)), "") << size;
  }
}

TEST_F(GgufTest, WhatIsWrongIsNamed) {
  const std::string whole = small_file();
  const std::string info = std::string("second") + number(1, 4);  // name, dimensions
  const std::string shape = info + number(2);
  const std::string type = shape + number(0, 4);
  const std::pair<std::string, const char*> cases[] = {
      {"GGUX" + whole.substr(4), "not a GGUF file"},
      {changed(whole, "GGUF", number(2, 4)), "GGUF version 2"},
      {changed(whole, "GGUF" + number(3, 4), number(uint64_t{1} << 60)), "too many tensors"},
      {changed(whole, "key", number(99, 4)), "key: unknown type 99"},
      {changed(whole, "key" + number(8, 4), number(uint64_t{1} << 62)), "key: the file ends"},
      {changed(whole, "second", number(9, 4)), "tensor \"second\": has not 1 to 4 dimensions"},
      {changed(whole, info, number(uint64_t{1} << 50)), "tensor \"second\": is too large"},
      {changed(whole, info, number(1 << 20)), "tensor \"second\": lies outside the file"},
      {changed(whole, shape, number(40, 4)), "tensor \"second\": has type 40, which is not read"},
      {changed(whole, shape, number(12, 4)),
       "tensor \"second\": its rows are no whole blocks of q4_k"},
      {changed(whole, info, number(1 << 20) + number(8, 4)),
       "tensor \"second\": lies outside the file"},
      {changed(whole, info, number(uint64_t{1} << 40) + number(8, 4)),
       "tensor \"second\": lies outside the file"},
      {changed(whole, type, number(0)), "overlaps the tensor before it"},
      {changed(whole, type, number(40)), "tensor \"second\": is not aligned"},
      {changed(whole, type, number(uint64_t{1} << 63)), "lies outside the file"},
  };
  for (const auto& [bytes, words] : cases) {
    const std::string message = refusal(bytes);
    EXPECT_NE(message.find(words), std::string::npos) << words << ": " << message;
  }
}

TEST_F(GgufTest, ValuesThatAFormCannotHoldAreRefusedAndLeaveNoFile) {
  GgufTensor tensor = f32_tensor("t", {1, 1e6F});
  tensor.type = GgufType::f16;
  EXPECT_NE(write_gguf(file(), {}, std::span(&tensor, 1)).error().message.find("beyond fp16"),
            std::string::npos);
  tensor = f32_tensor("t", {1, INFINITY});
  EXPECT_NE(write_gguf(file(), {}, std::span(&tensor, 1)).error().message.find("not finite"),
            std::string::npos);
  EXPECT_TRUE(fs::is_empty(scratch_.path()));
  small_file();
  EXPECT_EQ(write_gguf(file(), {}, {}).error().code, Code::already_exists);
}

TEST(GgufModel, RowsThatFillNoBlockFallBackAndTheHeadOfQ4KIsFiner) {
  ModelConfig config = presets().front().config;
  config.hidden_size = 256;
  config.intermediate_size = 352;  // a multiple of 32, not of 256
  config.tie_word_embeddings = false;
  config = resolved(config, 300, 64);
  std::vector<StoredTensor> slots;
  const ParameterLayout layout(config);
  for (const ParameterSlot& slot : layout.slots()) {
    slots.push_back({slot.name, slot.shape, [](std::span<float>) {}});
  }
  std::map<std::string, GgufType> types;
  for (const GgufTensor& tensor : gguf_tensors(config, slots, GgufType::q4_k)) {
    types[tensor.tensor.name] = tensor.type;
  }
  EXPECT_EQ(types.at("blk.0.attn_q.weight"), GgufType::q4_k);
  EXPECT_EQ(types.at("blk.0.ffn_down.weight"), GgufType::q5_0) << "as llama.cpp does";
  EXPECT_EQ(types.at("output.weight"), GgufType::q6_k);
  EXPECT_EQ(types.at("token_embd.weight"), GgufType::q4_k);
  EXPECT_EQ(types.at("output_norm.weight"), GgufType::f32);
}

// Real Llama-3.1 files have nothing but these factors of the rule.
TEST(GgufModel, Llama3sRuleIsFoundAgainInItsFactors) {
  for (const double factor : {8.0, 32.0}) {
    ModelConfig config = resolved(presets().front().config, 300, 131'072);
    config.head_dim = 128;
    config.rope_theta = 500'000;
    GgufFile file;
    config.rope = {.type = "llama3", .factor = factor, .original_positions = 8'192};
    for (const GgufTensor& tensor : rope_tensors(config)) file.tensors.push_back(tensor.tensor);
    ModelConfig read = config;
    read.rope = {};
    ASSERT_TRUE(read_rope_tensors(file, "llama.", read).ok());
    EXPECT_EQ(read, config);
  }
}

TEST(GgufModel, FactorsOfNoRuleStayAsTheyAreAndBadOnesAreNamed) {
  ModelConfig config = resolved(presets().front().config, 300, 1'024);
  const auto pairs = static_cast<size_t>(config.rotary_dim() / 2);
  std::vector<float> factors(pairs, 1.5F);
  factors.back() = 7;
  GgufFile file;
  file.tensors = {f32_tensor("rope_freqs.weight", factors).tensor};
  ASSERT_TRUE(read_rope_tensors(file, "llama.", config).ok());
  EXPECT_EQ(config.rope.long_factor, std::vector<double>(factors.begin(), factors.end()));
  EXPECT_EQ(problems(config), std::vector<std::string>());
  EXPECT_EQ(rope_tensors(config).front().tensor.name, "rope_freqs.weight");
  for (const std::vector<float>& bad :
       {std::vector<float>(pairs, 0.0F), std::vector<float>(3, 1.0F)}) {
    file.tensors = {f32_tensor("rope_freqs.weight", bad).tensor};
    const Status read = read_rope_tensors(file, "llama.", config);
    ASSERT_FALSE(read.ok());
    EXPECT_NE(read.error().message.find("tensor \"rope_freqs.weight\""), std::string::npos);
  }
}

TEST(GgufModel, WhatGgufHasNoFormForIsRefused) {
  ModelConfig config = resolved(presets().front().config, 300, 64);
  config.rope.type = "dynamic";
  config.rope.factor = 2;
  const auto metadata = gguf_metadata(config, "m", GgufType::f32);
  ASSERT_FALSE(metadata.ok());
  EXPECT_EQ(metadata.error().code, Code::failed_precondition);
  EXPECT_NE(metadata.error().message.find("rope type dynamic"), std::string::npos);
}

TEST(GgufTokenizer, SentencePieceScoresMergeInTheOrderOfTheMerges) {
  const std::string json = R"({"model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": true,
      "vocab": {"<unk>": 0, "<0x41>": 1, "a": 2, "b": 3, "ab": 4, "aab": 5},
      "merges": ["a b", ["a", "ab"]]},
      "added_tokens": [{"id": 6, "content": "<s>", "special": true},
                       {"id": 7, "content": "<think>", "special": false}],
      "post_processor": {"type": "TemplateProcessing",
                         "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}]}})";
  const Companions companions = {{"tokenizer.json", json},
                                 {"tokenizer_config.json", R"({"chat_template": "{{ x }}"})"}};
  const auto keys = gguf_tokenizer(companions, {{"bos_token_id", 6}, {"eos_token_id", {7, 6}}}, 9);
  ASSERT_TRUE(keys.ok()) << keys.error().message;
  const auto at = [&](const char* key) { return keys->at(std::string("tokenizer.ggml.") + key); };
  EXPECT_EQ(at("model"), GgufValue(std::string("llama")));
  EXPECT_EQ(at("scores"), GgufValue(std::vector<float>{0, 0, 0, 0, -1, -2, 0, 0, 0}));
  EXPECT_EQ(at("token_type"), GgufValue(std::vector<int32_t>{2, 6, 1, 1, 1, 1, 3, 4, 5}));
  EXPECT_EQ(at("bos_token_id"), GgufValue(uint32_t{6}));
  EXPECT_EQ(at("eos_token_id"), GgufValue(uint32_t{7}));
  EXPECT_EQ(at("add_bos_token"), GgufValue(true));
  EXPECT_EQ(keys->at("tokenizer.chat_template"), GgufValue(std::string("{{ x }}")));
  EXPECT_EQ(keys->at("tokenizer.huggingface.json"), GgufValue(json));
  EXPECT_EQ(std::get<std::vector<std::string>>(at("tokens"))[8], "[PAD8]");
}

TEST(GgufTokenizer, WhatLlamaCppWouldCutOtherwiseIsRefused) {
  nlohmann::json file = nlohmann::json::parse(Tokenizer::bytes().json());
  const auto pre_of = [&] {
    const auto keys = gguf_tokenizer({{"tokenizer.json", file.dump()}}, {}, 257);
    return keys.ok() ? std::get<std::string>(keys->at("tokenizer.ggml.pre")) : keys.error().message;
  };
  EXPECT_EQ(pre_of(), "gpt-2");
  const nlohmann::json level = file["pre_tokenizer"];
  const auto after = [&](const char* first) {
    file["pre_tokenizer"] = {{"type", "Sequence"},
                             {"pretokenizers", {nlohmann::json::parse(first), level}}};
    return pre_of();
  };
  EXPECT_EQ(after(R"({"type":"Digits","individual_digits":true})"), "smollm");
  for (const char* unknown :
       {R"({"type":"Digits","individual_digits":false})", R"({"type":"Whitespace"})",
        R"({"type":"Split","pattern":{"Regex":"x+"},"behavior":"Isolated","invert":false})"}) {
    EXPECT_NE(after(unknown).find("has no name in GGUF"), std::string::npos) << unknown;
  }
  file["pre_tokenizer"] = level;
  file["normalizer"] = {{"type", "Lowercase"}};
  EXPECT_NE(pre_of().find("normalizer: \"Lowercase\" has no form"), std::string::npos);
}

TEST(GgufTokenizer, TheEndOfATurnIsWrittenBesideTheEndOfText) {
  const Companions companions = {{"tokenizer.json", Tokenizer::bytes().json()},
                                 {"generation_config.json", R"({"eos_token_id": [256, 9]})"}};
  const auto keys = gguf_tokenizer(companions, {{"eos_token_id", 256}}, 257);
  ASSERT_TRUE(keys.ok()) << keys.error().message;
  EXPECT_EQ(keys->at("tokenizer.ggml.eot_token_id"), GgufValue(uint32_t{9}));
}

TEST(GgufTokenizer, TokensBeyondTheEmbeddingAreRefused) {
  const Companions companions = {{"tokenizer.json", Tokenizer::bytes().json()}};
  EXPECT_TRUE(gguf_tokenizer(companions, {}, 257).ok());
  const auto refused = gguf_tokenizer(companions, {}, 256);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("its id is not a row of the embedding"),
            std::string::npos);
}

}  // namespace
}  // namespace llmctl
