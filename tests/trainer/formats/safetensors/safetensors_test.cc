#include "trainer/formats/safetensors/safetensors.h"

#include <cstring>
#include <nlohmann/json.hpp>

#include "tests/trainer/scratch.h"
#include "trainer/files/content_hash.h"

namespace llmctl {
namespace {

std::string file_of(const std::string& header, const std::string& data) {
  uint64_t length = header.size();
  std::string field(8, '\0');
  std::memcpy(field.data(), &length, 8);
  return field + header + data;
}

Result<SafetensorsFile> open_text(const std::string& content) {
  const Scratch scratch;
  write_file(scratch.path() / "x.safetensors", content);
  return SafetensorsFile::open(scratch.path() / "x.safetensors");
}

std::string refusal(const std::string& header, const std::string& data) {
  const auto opened = open_text(file_of(header, data));
  if (opened.ok()) return "accepted";
  EXPECT_EQ(opened.error().code, Code::invalid_argument);
  return opened.error().message;
}

TEST(Safetensors, GivesBackWhatWasWritten) {
  const Scratch scratch;
  const std::vector<float> weight{1, 2, 3, 4, 5, 6};
  const std::vector<int64_t> step{42};
  const std::vector<TensorView> tensors{
      {"model.norm.weight", DType::f32, {2, 3}, std::as_bytes(std::span(weight))},
      {"empty", DType::bf16, {0, 7}, {}},
      {"step \"é\"\n", DType::i64, {}, std::as_bytes(std::span(step))}};
  const auto file = scratch.path() / "model.safetensors";
  ASSERT_TRUE(write_safetensors(file, tensors, {{"format", "pt"}}).ok());

  const auto read = SafetensorsFile::open(file);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->metadata().at("format"), "pt");
  ASSERT_EQ(read->tensors().size(), tensors.size());
  for (const TensorView& tensor : tensors) {
    const TensorView* found = read->find(tensor.name);
    ASSERT_NE(found, nullptr) << tensor.name;
    EXPECT_EQ(found->dtype, tensor.dtype);
    EXPECT_EQ(found->shape, tensor.shape);
    EXPECT_EQ(as_text(found->bytes), as_text(tensor.bytes));
  }
  EXPECT_EQ(read->find("absent"), nullptr);
}

TEST(Safetensors, WritesDataAtAnOffsetDivisibleByEight) {
  for (size_t length = 1; length < 10; ++length) {
    const std::vector<std::byte> bytes(4);
    const TensorView tensor{std::string(length, 'n'), DType::u8, {4}, bytes};
    const auto header = safetensors_header(std::span(&tensor, 1), {});
    ASSERT_TRUE(header.ok());
    EXPECT_EQ(header->size() % 8, 0u);
  }
}

TEST(Safetensors, RefusesToWriteATensorWhoseBytesDoNotFitItsShape) {
  const std::vector<std::byte> bytes(4);
  const TensorView tensor{"w", DType::f32, {2}, bytes};
  EXPECT_FALSE(safetensors_header(std::span(&tensor, 1), {}).ok());
}

TEST(Safetensors, RefusesBrokenFraming) {
  EXPECT_FALSE(open_text("").ok());
  EXPECT_FALSE(open_text("1234567").ok());
  EXPECT_FALSE(open_text(std::string(8, '\xFF')).ok());                 // length 2^64 - 1
  EXPECT_FALSE(open_text(file_of("{}", "").substr(0, 9)).ok());         // header cut off
  EXPECT_FALSE(open_text(file_of(" {}", "")).ok());                     // does not start with {
  EXPECT_FALSE(open_text(file_of("{} {}", "")).ok());                   // something follows
  EXPECT_FALSE(open_text(file_of(std::string("{}\0\0", 4), "")).ok());  // NUL padding
  EXPECT_TRUE(open_text(file_of("{}  ", "")).ok());
}

TEST(Safetensors, NamesTheTensorAtFault) {
  const auto entry = [](const std::string& dtype, const std::string& shape,
                        const std::string& offsets) {
    return R"({"w":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
           offsets + "}}";
  };
  const std::string four(4, 'x');
  EXPECT_EQ(refusal(entry("F32", "[1]", "[0,4]"), four), "accepted");
  for (const auto& [header, words] : std::vector<std::pair<std::string, std::string>>{
           {entry("F31", "[1]", "[0,4]"), "unknown dtype \"F31\""},
           {entry("F32", "[2]", "[0,4]"), "shape and dtype do not make the 4 bytes"},
           {entry("F32", "[-1]", "[0,4]"), "shape holds something else than a number >= 0"},
           {entry("F32", "[4611686018427387904,4]", "[0,4]"), "shape and dtype"},
           {entry("F32", "[1.0]", "[0,4]"), "shape holds something else"},
           {entry("F32", "[1]", "[4,0]"), "outside the file"},
           {entry("F32", "[2]", "[0,8]"), "outside the file"},
           {entry("F32", "[1]", "[0,18446744073709551615]"), "data_offsets holds something else"},
           {entry("F32", "[1]", "[0,4,4]"), "data_offsets is too long"},
           {R"({"w":{"dtype":"F32","shape":[1]}})", "each once"},
           {R"({"w":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "each once"},
           {R"({"w":[]})", "is not an object"}}) {
    const std::string message = refusal(header, four);
    EXPECT_NE(message.find(words), std::string::npos) << header << " gave: " << message;
    EXPECT_NE(message.find("tensor \"w\""), std::string::npos) << message;
    EXPECT_NE(message.find("x.safetensors"), std::string::npos) << message;
  }
}

TEST(Safetensors, RefusesHolesOverlapsAndLeftOverBytes) {
  const auto two = [](int a, int b, int c, int d) {
    nlohmann::json header;
    header["a"] = {{"dtype", "U8"}, {"shape", {b - a}}, {"data_offsets", {a, b}}};
    header["b"] = {{"dtype", "U8"}, {"shape", {d - c}}, {"data_offsets", {c, d}}};
    return header.dump();
  };
  const std::string data(8, 'x');
  EXPECT_EQ(refusal(two(0, 4, 4, 8), data), "accepted");
  EXPECT_EQ(refusal(two(4, 8, 0, 4), data), "accepted");
  EXPECT_NE(refusal(two(0, 4, 3, 8), data).find("overlaps"), std::string::npos);
  EXPECT_NE(refusal(two(0, 3, 4, 8), data).find("hole"), std::string::npos);
  EXPECT_NE(refusal(two(1, 4, 4, 8), data).find("hole"), std::string::npos);
  EXPECT_NE(refusal(two(0, 4, 4, 7), data).find("after the last"), std::string::npos);
}

TEST(Safetensors, RefusesANameThatAppearsTwice) {
  const std::string entry = R"("w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  EXPECT_NE(refusal("{" + entry + "," + entry + "}", "").find("appears twice"), std::string::npos);
}

}  // namespace
}  // namespace llmctl
