// Hugging Face directories from strangers: what is wrong is refused, and the error says where.
#include "trainer/formats/hf/directory.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/base/json_reader.h"
#include "tests/trainer/scratch.h"
#include "trainer/formats/hf/write.h"
#include "trainer/formats/safetensors/half.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json small_config() {
  return {{"model_type", "llama"},       {"vocab_size", 8},        {"hidden_size", 4},
          {"intermediate_size", 4},      {"num_hidden_layers", 1}, {"num_attention_heads", 1},
          {"max_position_embeddings", 8}};
}

class HfDirectoryTest : public ::testing::Test {
 protected:
  HfDirectoryTest() { write_file(directory() / "config.json", small_config().dump()); }
  fs::path directory() const { return scratch_.path() / "model"; }

  void write_tensor(const std::string& file, const std::string& name, DType dtype = DType::f32) {
    const std::vector<std::byte> bytes(static_cast<size_t>(2 * byte_size(dtype)));
    const TensorView tensor = {name, dtype, {2}, bytes};
    ASSERT_TRUE(write_safetensors(directory() / file, std::span(&tensor, 1), {}).ok());
  }
  void write_index(const json& weight_map) {
    write_file(directory() / "model.safetensors.index.json",
               json{{"weight_map", weight_map}}.dump());
  }
  std::string refusal() const {
    const auto opened = open_hf_directory(directory());
    return opened.ok() ? "" : opened.error().message;
  }

  Scratch scratch_;
};

TEST_F(HfDirectoryTest, ReadsTheShardsThatTheIndexNames) {
  write_tensor("a.safetensors", "x");
  write_tensor("b.safetensors", "y", DType::bf16);
  write_index({{"x", "a.safetensors"}, {"y", "b.safetensors"}});
  const auto opened = open_hf_directory(directory());
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_EQ(opened->tensors.size(), 2u);
}

TEST_F(HfDirectoryTest, ADirectoryWithOnlyAConfigHasNoTensors) {
  const auto opened = open_hf_directory(directory());
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_TRUE(opened->tensors.empty());
}

TEST_F(HfDirectoryTest, AnIndexCannotReachOutsideTheDirectory) {
  write_tensor("../secret.safetensors", "x");
  for (const char* file : {"../secret.safetensors", "/etc/passwd", "sub/a.safetensors", "..", ""}) {
    write_index({{"x", file}});
    EXPECT_NE(refusal().find("tensor \"x\": expected the name of a file beside it"),
              std::string::npos)
        << refusal();
  }
}

TEST_F(HfDirectoryTest, IndexAndShardsMustTellTheSame) {
  write_tensor("a.safetensors", "x");
  write_index({{"y", "a.safetensors"}});
  EXPECT_NE(refusal().find("tensor \"x\": is not where"), std::string::npos) << refusal();
  write_index({{"x", "a.safetensors"}, {"y", "a.safetensors"}});
  EXPECT_NE(refusal().find("tensor \"y\": is not there"), std::string::npos) << refusal();
  write_index({{"x", "gone.safetensors"}});
  EXPECT_NE(refusal().find("gone.safetensors"), std::string::npos) << refusal();
}

TEST_F(HfDirectoryTest, WeightsInAFormThatIsNotReadAreNotOverlooked) {
  for (const char* file : {"pytorch_model.bin", "other.safetensors", "weights.pt"}) {
    write_file(directory() / file, "x");
    EXPECT_NE(refusal().find(file), std::string::npos) << refusal();
    fs::remove(directory() / file);
  }
  EXPECT_EQ(refusal(), "");
}

TEST_F(HfDirectoryTest, NumbersThatAreNoWeightsAreRefusedByName) {
  write_tensor("model.safetensors", "x", DType::i64);
  EXPECT_NE(refusal().find("tensor \"x\": has type I64, expected F32, F16 or BF16"),
            std::string::npos)
      << refusal();
}

TEST_F(HfDirectoryTest, BrokenTextsAreRefusedByFile) {
  write_file(directory() / "model.safetensors.index.json", "[1, 2]");
  EXPECT_NE(refusal().find("model.safetensors.index.json: is not a JSON object"), std::string::npos)
      << refusal();
  write_file(directory() / "config.json", "{\"model_type\": \"llama\"}");
  EXPECT_NE(refusal().find("model/config.json: "), std::string::npos) << refusal();
  fs::remove(directory() / "config.json");
  EXPECT_NE(refusal().find("model/config.json: "), std::string::npos) << refusal();
}

StoredTensor tensor_of(const std::string& name, const std::vector<float>& values) {
  return {name, {static_cast<int64_t>(values.size())}, [values](std::span<float> out) {
            std::copy(values.begin(), values.end(), out.begin());
          }};
}

TEST_F(HfDirectoryTest, WhatIsWrittenInShardsIsReadBack) {
  HfExport model = {small_config(), {}, DType::f32, 10, {{"generation_config.json", "{}"}}};
  model.tensors = {tensor_of("a", {1, 2}), tensor_of("b", {3}), tensor_of("c", {4, 5, 6})};
  const fs::path to = scratch_.path() / "out";
  const auto written = write_hf_directory(to, model);
  ASSERT_TRUE(written.ok()) << written.error().message;
  EXPECT_EQ(written->tensors, 3);
  EXPECT_EQ(written->files, 6);  // three shards, index, config, generation config
  EXPECT_TRUE(fs::exists(to / "model-00002-of-00003.safetensors"));
  const auto opened = open_hf_directory(to);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  ASSERT_EQ(opened->tensors.size(), 3u);
  std::vector<float> values(3);
  opened->tensors[2].read(values);
  EXPECT_EQ(values, (std::vector<float>{4, 5, 6}));
  EXPECT_EQ(opened->companions.size(), 1u);
}

TEST_F(HfDirectoryTest, NothingIsWrittenOverAndNothingHalfIsLeft) {
  HfExport model = {small_config(), {tensor_of("a", {1e6F})}, DType::f16, 1 << 20, {}};
  const fs::path to = scratch_.path() / "out";
  const auto written = write_hf_directory(to, model);
  ASSERT_FALSE(written.ok());
  EXPECT_NE(written.error().message.find("tensor \"a\": has values beyond fp16"), std::string::npos)
      << written.error().message;
  for (const auto& entry : fs::directory_iterator(scratch_.path())) {
    EXPECT_EQ(entry.path().filename(), "model");
  }
  model.dtype = DType::bf16;
  ASSERT_TRUE(write_hf_directory(to, model).ok());
  EXPECT_EQ(write_hf_directory(to, model).error().code, Code::already_exists);
}

TEST(Half, EveryF16ComesBackFromFp32) {
  for (uint32_t bits = 0; bits < 65'536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    if (std::isnan(from_f16(half))) continue;
    ASSERT_EQ(to_f16(from_f16(half)), half);
    ASSERT_EQ(to_bf16(from_bf16(half)), half);
  }
}

TEST(Half, RoundsToTheNearestAndTiesToEven) {
  EXPECT_EQ(from_f16(to_f16(1 + 0x1p-11F)), 1.0F);  // between 1 and 1 + 2^-10
  EXPECT_EQ(from_f16(to_f16(1 + 0x3p-11F)), 1 + 0x1p-9F);
  EXPECT_EQ(from_f16(to_f16(0x1p-25F)), 0.0F);
  EXPECT_EQ(from_f16(to_f16(0x3p-26F)), 0x1p-24F);
  EXPECT_EQ(from_f16(to_f16(65'519.0F)), 65'504.0F);
  EXPECT_TRUE(std::isinf(from_f16(to_f16(65'520.0F))));
  EXPECT_EQ(from_bf16(to_bf16(1 + 0x1p-8F)), 1.0F);
  EXPECT_TRUE(std::isnan(from_f16(to_f16(NAN))) && std::isnan(from_bf16(to_bf16(NAN))));
}

}  // namespace
}  // namespace llmctl
