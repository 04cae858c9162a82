// GGUF files beside PyPI's gguf: blocks equal to its quantizers, tensors where its converter puts
// them; and the way back. reference_gguf.py is the other side.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/trainer/stored/python_peer.h"
#include "trainer/commands/convert.h"
#include "trainer/commands/eval.h"
#include "trainer/formats/gguf/gguf.h"
#include "trainer/model/load_model.h"
#include "trainer/stored/stored_model.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class GgufModels : public PythonTest {
 protected:
  GgufModels() : PythonTest("torch, transformers, gguf, safetensors") {}
};

// Values as weights have them, with outliers, and the extremes: zeros, one sign, tiny, large.
std::vector<float> weights_like(size_t count, uint32_t seed) {
  std::vector<float> values;
  for (size_t i = 0; i < count; ++i) {
    double sum = 0;
    for (int k = 0; k < 12; ++k) {
      seed = seed * 1'664'525 + 1'013'904'223;
      sum += seed / 4'294'967'296.0;
    }
    double value = 0.05 * (sum - 6) * (i % 97 == 0 ? 8 : 1);
    const size_t block = i / 256;
    if (block % 16 == 3) value = 0;
    if (block % 16 == 5) value = std::abs(value) + 1;
    if (block % 16 == 7) value *= 1e-4;
    if (block % 16 == 9) value *= 3'000;
    values.push_back(static_cast<float>(value));
  }
  return values;
}

TEST_F(GgufModels, BlocksAreThoseOfTheReferenceAndKQuantsNoWorseThanTheClassicSearch) {
  constexpr int64_t kRows = 64, kWidth = 512;
  const auto values = weights_like(kRows * kWidth, 1);
  std::vector<TensorView> views;
  std::vector<GgufTensor> tensors;
  for (const GgufType type : {GgufType::f32, GgufType::f16, GgufType::bf16, GgufType::q8_0,
                              GgufType::q5_0, GgufType::q4_0, GgufType::q4_k, GgufType::q6_k}) {
    const auto read = [&](std::span<float> out) {
      std::copy(values.begin(), values.end(), out.begin());
    };
    tensors.push_back({{to_string(type), {kRows, kWidth}, read}, type});
    views.push_back(
        {to_string(type), DType::f32, {kRows, kWidth}, std::as_bytes(std::span(values))});
  }
  ASSERT_TRUE(write_safetensors(path("source.safetensors"), views, {}).ok());
  const auto written =
      write_gguf(path("blocks.gguf"), {{"general.architecture", std::string("llama")}}, tensors);
  ASSERT_TRUE(written.ok()) << written.error().message;
  const json told =
      ask("reference_gguf.py", {{"blocks", path("blocks.gguf"), path("source.safetensors")}})[0];
  for (const char* exact : {"fp32", "fp16", "bf16", "q8_0", "q5_0", "q4_0"}) {
    EXPECT_EQ(told[exact]["equal"], true) << exact;
  }
  for (const char* searched : {"q4_k", "q6_k"}) {
    const double ours = told[searched]["ours"], classic = told[searched]["classic"];
    EXPECT_LE(ours, classic) << searched;
    EXPECT_GT(ours, 0);
    RecordProperty(searched, told[searched].dump());
    std::printf("%s: weighted RMS error %.6g, classic search %.6g (%.1f%% less)\n", searched, ours,
                classic, 100 * (1 - ours / classic));
  }
}

TEST_F(GgufModels, TensorsLieWhereTheConverterOfLlamaCppPutsThem) {
  make_models(kModelKinds);
  json requests = json::array();
  for (const std::string& kind : kModelKinds) {
    ASSERT_EQ(convert({path(kind), path(kind + ".gguf")}), 0) << kind;
    requests.push_back({"model", path(kind + ".gguf"), path(kind)});
  }
  const json answers = ask("reference_gguf.py", requests);
  ASSERT_EQ(answers.size(), kModelKinds.size());
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i]["wrong"], json::array()) << kModelKinds[i];
    EXPECT_EQ(answers[i]["unexplained"], json::array()) << kModelKinds[i];
    const json& keys = answers[i]["keys"];
    EXPECT_EQ(keys["tokenizer.ggml.model"], "gpt2");
    EXPECT_EQ(keys["tokenizer.ggml.pre"], "gpt-2");
    EXPECT_EQ(keys["tokenizer.ggml.tokens"].size(), 257u);
    EXPECT_EQ(keys["tokenizer.ggml.tokens"][256], "<|endoftext|>");
    EXPECT_EQ(keys["tokenizer.ggml.token_type"][256], 3);
    EXPECT_EQ(keys["tokenizer.ggml.eos_token_id"], 256);
    EXPECT_EQ(keys["general.file_type"], 0);
  }
}

TEST_F(GgufModels, TheWayBackGivesTheSameModelAndLoss) {
  write_file(path("text.txt"), std::string(600, 'x') + "To be, or not to be: that is the question");
  const auto loss = [&](const fs::path& model) {
    std::ostringstream out;
    EXPECT_EQ(eval_command({model, "--text", path("text.txt"), "--json"}, out), 0);
    return json::parse(out.str(), nullptr, false).value("loss", -1.0);
  };
  make_models(kModelKinds);
  for (const std::string& kind : kModelKinds) {
    const fs::path source = path(kind), file = path(kind + ".gguf"), back = path(kind + "_back");
    ASSERT_EQ(convert({source, file}), 0) << kind;
    ASSERT_EQ(convert({file, back}), 0) << kind;
    const auto first = open_stored_model(source), last = open_stored_model(back);
    ASSERT_TRUE(first.ok() && last.ok()) << kind;
    EXPECT_EQ(first->config, last->config) << kind;
    const ParameterLayout layout(first->config);
    at::Tensor a = at::empty({layout.size()}), b = at::empty({layout.size()});
    ASSERT_TRUE(load_weights(*first, layout, a).ok());
    ASSERT_TRUE(load_weights(*last, layout, b).ok());
    // Gemma's norms are stored with one added.
    const double most = kind.starts_with("gemma") ? 2e-7 : 0;
    EXPECT_LE((a - b).abs().max().item<double>(), most) << kind;
    EXPECT_EQ(first->companions.at("tokenizer.json"), last->companions.at("tokenizer.json"));
    const double wanted = loss(source);
    EXPECT_GT(wanted, 0);
    EXPECT_NEAR(loss(file), wanted, 1e-6 * wanted) << kind;
  }
}

void expect_values_of_the_reference(const fs::path& file, size_t tensors) {
  const auto theirs = SafetensorsFile::open(file.string() + ".fp32");
  const auto ours = read_gguf(file);
  ASSERT_TRUE(theirs.ok() && ours.ok()) << ours.error().message;
  ASSERT_EQ(ours->tensors.size(), tensors);
  for (const StoredTensor& tensor : ours->tensors) {
    std::vector<float> got(static_cast<size_t>(tensor.elements())), want(got.size());
    tensor.read(got);
    std::memcpy(want.data(), theirs->find(tensor.name)->bytes.data(), want.size() * sizeof(float));
    size_t wrong = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      const bool same = got[i] == want[i] || (std::isnan(got[i]) && std::isnan(want[i]));
      wrong += same ? 0 : 1;
    }
    EXPECT_EQ(wrong, 0U) << file << " " << tensor.name;
  }
}

// Blocks as the quantizers make them, and of random bytes, of every type that is read.
TEST_F(GgufModels, QuantizedValuesAreThoseOfTheReferenceInEveryBit) {
  constexpr int64_t kRows = 40, kWidth = 512;
  const auto values = weights_like(kRows * kWidth, 2);
  const auto read = [&](std::span<float> out) {
    std::copy(values.begin(), values.end(), out.begin());
  };
  std::vector<GgufTensor> tensors;
  for (const GgufType type :
       {GgufType::q8_0, GgufType::q5_0, GgufType::q4_0, GgufType::q4_k, GgufType::q6_k}) {
    tensors.push_back({{to_string(type), {kRows, kWidth}, read}, type});
  }
  const fs::path made = path("made.gguf"), random = path("random.gguf");
  ASSERT_TRUE(write_gguf(made, {{"general.architecture", std::string("llama")}}, tensors).ok());
  const json types = ask("reference_gguf.py", json::array({json::array({"random", random})}))[0];
  for (const fs::path& file : {made, random}) {
    ask("reference_gguf.py", {{"dequantize", file, file.string() + ".fp32"}});
  }
  expect_values_of_the_reference(made, tensors.size());
  expect_values_of_the_reference(random, types.size());
}

TEST_F(GgufModels, ListsOfEveryKindAreRead) {
  const fs::path file = path("random.gguf");
  ask("reference_gguf.py", json::array({json::array({"random", file})}));
  const auto read = read_gguf(file);
  ASSERT_TRUE(read.ok()) << read.error().message;
  const auto whole = [&](const char* key) {
    return std::get<std::vector<int32_t>>(read->metadata.at(key));
  };
  EXPECT_EQ(whole("some.flags"), (std::vector<int32_t>{1, 0, 1}));
  EXPECT_EQ(whole("some.bytes"), (std::vector<int32_t>{7, 255}));
  EXPECT_EQ(whole("some.int8"), (std::vector<int32_t>{-3, 4}));
  EXPECT_EQ(whole("some.uint16"), (std::vector<int32_t>{65'535}));
  EXPECT_EQ(whole("some.int64"), (std::vector<int32_t>{-5, 2'147'483'647}));
  EXPECT_EQ(std::get<std::vector<float>>(read->metadata.at("some.float64")),
            (std::vector<float>{0.5F, -2.25F}));
}

TEST_F(GgufModels, AQuantizedModelIsReadAndScoresNearlyAsBefore) {
  make_models({"llama"});
  write_file(path("text.txt"), std::string(100, 'x') + "To be, or not to be: that is the question");
  const auto loss = [&](const fs::path& model) {
    std::ostringstream out;
    EXPECT_EQ(eval_command({model, "--text", path("text.txt"), "--json"}, out), 0);
    return json::parse(out.str(), nullptr, false).value("loss", -1.0);
  };
  const double exact = loss(path("llama"));
  for (const char* type : {"q8_0", "q5_0", "q4_0"}) {
    const fs::path file = path(std::string(type) + ".gguf"), back = path(std::string(type));
    ASSERT_EQ(convert({path("llama"), file, "--dtype", type}), 0);
    ASSERT_EQ(convert({file, back}), 0);
    EXPECT_NEAR(loss(file), exact, 0.1 * exact) << type;
    EXPECT_NEAR(loss(back), loss(file), 1e-6 * exact) << type;
    EXPECT_NE(loss(file), exact) << type;
  }
}

}  // namespace
}  // namespace llmctl
