#include "trainer/formats/safetensors/safetensors.h"

#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/base/limits.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/disk.h"
#include "trainer/files/mapped_file.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace dom = simdjson::dom;
namespace {

constexpr size_t kLengthField = 8;
constexpr size_t kMaxRank = 32;
constexpr size_t kMaxTensors = 1 << 20;  // 100x the largest public model in one file
constexpr size_t kHeaderDepth = 8;       // a well-formed header is 4 deep

struct DTypeRow {
  DType dtype;
  const char* name;
  Bytes bytes;
};
constexpr DTypeRow kDTypes[] = {
    {DType::boolean, "BOOL", 1},    {DType::u8, "U8", 1},           {DType::i8, "I8", 1},
    {DType::f8_e4m3, "F8_E4M3", 1}, {DType::f8_e5m2, "F8_E5M2", 1}, {DType::i16, "I16", 2},
    {DType::u16, "U16", 2},         {DType::f16, "F16", 2},         {DType::bf16, "BF16", 2},
    {DType::i32, "I32", 4},         {DType::u32, "U32", 4},         {DType::f32, "F32", 4},
    {DType::f64, "F64", 8},         {DType::i64, "I64", 8},         {DType::u64, "U64", 8},
};

// Bytes of a tensor, or nothing when a dimension is negative or the product overflows.
std::optional<Bytes> tensor_bytes(DType dtype, std::span<const int64_t> shape) {
  Bytes bytes = byte_size(dtype);
  for (const int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(bytes, extent, &bytes)) return std::nullopt;
  }
  return bytes;
}

class HeaderReader {
 public:
  HeaderReader(std::string name, std::span<const std::byte> data)
      : name_(std::move(name)), data_(data) {}

  Status read(dom::element root) {
    dom::object object;
    if (root.get(object) != simdjson::SUCCESS) return fail("", "header is not an object");
    for (const auto [key, value] : object) {
      if (key == "__metadata__") {
        TRY(read_metadata(value));
      } else {
        TRY(read_tensor(std::string(key), value));
      }
    }
    return check_layout();
  }

  std::vector<TensorView> tensors;
  std::map<std::string, std::string> metadata;

 private:
  Error fail(const std::string& tensor, const std::string& what) const {
    const std::string place = tensor.empty() ? "" : "tensor \"" + tensor + "\": ";
    return Error{Code::invalid_argument, name_ + ": " + place + what, ""};
  }

  Status read_metadata(dom::element value) {
    dom::object object;
    if (seen_metadata_) return fail("", "__metadata__ appears twice");
    seen_metadata_ = true;
    if (value.get(object) != simdjson::SUCCESS) return fail("", "__metadata__ is not an object");
    for (const auto [key, text] : object) {
      std::string_view string;
      if (text.get(string) != simdjson::SUCCESS) {
        return fail("", "__metadata__." + std::string(key) + " is not a string");
      }
      metadata.emplace(key, string);
    }
    return ok_status();
  }

  Status read_tensor(std::string tensor_name, dom::element value) {
    if (tensors.size() >= kMaxTensors) return fail(tensor_name, "too many tensors");
    TensorView tensor;
    dom::object object;
    if (value.get(object) != simdjson::SUCCESS) return fail(tensor_name, "is not an object");
    Bytes begin = -1, end = -1;
    int fields = 0;
    for (const auto [key, field] : object) {
      ++fields;
      if (key == "dtype") {
        TRY(read_dtype(tensor_name, field, tensor.dtype));
      } else if (key == "shape") {
        TRY(read_numbers(tensor_name, field, "shape", kMaxRank, tensor.shape));
      } else if (key == "data_offsets") {
        std::vector<int64_t> offsets;
        TRY(read_numbers(tensor_name, field, "data_offsets", 2, offsets));
        if (offsets.size() != 2) return fail(tensor_name, "data_offsets needs two numbers");
        begin = offsets[0], end = offsets[1];
      } else {
        return fail(tensor_name, "unknown field \"" + std::string(key) + "\"");
      }
    }
    if (fields != 3 || begin < 0) {
      return fail(tensor_name, "needs dtype, shape and data_offsets, each once");
    }
    if (begin > end || end > static_cast<Bytes>(data_.size())) {
      return fail(tensor_name, "data_offsets lie outside the file");
    }
    tensor.name = std::move(tensor_name);
    tensor.bytes = data_.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
    const auto expected = tensor_bytes(tensor.dtype, tensor.shape);
    if (!expected || *expected != end - begin) {
      return fail(tensor.name, "shape and dtype do not make the " + std::to_string(end - begin) +
                                   " bytes of data_offsets");
    }
    tensors.push_back(std::move(tensor));
    return ok_status();
  }

  Status read_dtype(const std::string& tensor, dom::element field, DType& dtype) const {
    std::string_view text;
    if (field.get(text) != simdjson::SUCCESS) return fail(tensor, "dtype is not a string");
    const auto parsed = parse_dtype(text);
    if (!parsed) return fail(tensor, "unknown dtype \"" + std::string(text) + "\"");
    dtype = *parsed;
    return ok_status();
  }

  Status read_numbers(const std::string& tensor,
                      dom::element field,
                      const std::string& what,
                      size_t limit,
                      std::vector<int64_t>& numbers) const {
    dom::array array;
    if (field.get(array) != simdjson::SUCCESS) return fail(tensor, what + " is not a list");
    numbers.clear();
    for (const dom::element item : array) {
      int64_t number = 0;
      if (item.get(number) != simdjson::SUCCESS || number < 0) {
        return fail(tensor, what + " holds something else than a number >= 0");
      }
      if (numbers.size() >= limit) return fail(tensor, what + " is too long");
      numbers.push_back(number);
    }
    return ok_status();
  }

  // In order of offset the tensors must tile the data exactly: no hole can hide bytes, no overlap
  // can make one tensor change another.
  Status check_layout() {
    std::stable_sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
      return std::pair(a.bytes.data(), a.bytes.size()) < std::pair(b.bytes.data(), b.bytes.size());
    });
    const std::byte* at = data_.data();
    for (const TensorView& tensor : tensors) {
      if (tensor.bytes.data() < at) return fail(tensor.name, "overlaps the tensor before it");
      if (tensor.bytes.data() > at) return fail(tensor.name, "leaves a hole before it");
      at += tensor.bytes.size();
    }
    if (at != data_.data() + data_.size()) return fail("", "bytes after the last tensor");
    return ok_status();
  }

  std::string name_;
  std::span<const std::byte> data_;
  bool seen_metadata_ = false;
};

}  // namespace

Bytes byte_size(DType dtype) {
  return kDTypes[static_cast<size_t>(dtype)].bytes;
}

const char* to_string(DType dtype) {
  return kDTypes[static_cast<size_t>(dtype)].name;
}

std::optional<DType> parse_dtype(std::string_view name) {
  for (const DTypeRow& row : kDTypes) {
    if (name == row.name) return row.dtype;
  }
  return std::nullopt;
}

Result<SafetensorsFile> SafetensorsFile::open(const fs::path& file) {
  return parse(TRY(MappedFile::open(file)), file.string());
}

Result<SafetensorsFile> SafetensorsFile::parse(std::shared_ptr<const MappedFile> file,
                                               std::string name) {
  const auto bytes = file->bytes();
  const auto fail = [&](const char* what) {
    return Error{Code::invalid_argument, name + ": not a safetensors file: " + what, ""};
  };
  if (bytes.size() < kLengthField) return fail("shorter than 8 bytes");
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  if (length > static_cast<uint64_t>(limits::kSafetensorsHeaderBytes))
    return fail("header too long");
  if (length > bytes.size() - kLengthField) return fail("header longer than the file");
  const auto header = as_text(bytes.subspan(kLengthField, length));
  if (!header.starts_with('{')) return fail("header does not start with '{'");

  dom::parser parser;
  dom::element root;
  auto failed = parser.allocate(header.size(), kHeaderDepth);
  if (failed == simdjson::SUCCESS) failed = parser.parse(header.data(), header.size()).get(root);
  if (failed != simdjson::SUCCESS) {
    return Error{Code::invalid_argument,
                 name + ": header is not valid JSON: " + simdjson::error_message(failed), ""};
  }
  HeaderReader reader(name, bytes.subspan(kLengthField + length));
  TRY(reader.read(root));

  SafetensorsFile result;
  result.file_ = std::move(file);
  result.tensors_ = std::move(reader.tensors);
  result.metadata_ = std::move(reader.metadata);
  for (size_t i = 0; i < result.tensors_.size(); ++i) {
    const std::string& tensor = result.tensors_[i].name;
    if (!result.index_.emplace(tensor, i).second) {
      return Error{Code::invalid_argument,
                   std::move(name).append(": tensor \"").append(tensor).append("\": appears twice"),
                   ""};
    }
  }
  return result;
}

const TensorView* SafetensorsFile::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

Result<Bytes> byte_size(const TensorShape& tensor) {
  if (const auto bytes = tensor_bytes(tensor.dtype, tensor.shape)) return *bytes;
  return Error{Code::invalid_argument, "tensor \"" + tensor.name + "\": its shape is no size", ""};
}

Result<std::string> safetensors_header(std::span<const TensorView> tensors,
                                       const std::map<std::string, std::string>& metadata) {
  std::vector<TensorShape> shapes;
  shapes.reserve(tensors.size());
  for (const TensorView& tensor : tensors) {
    shapes.push_back({tensor.name, tensor.dtype, tensor.shape});
    if (TRY(byte_size(shapes.back())) == static_cast<Bytes>(tensor.bytes.size())) continue;
    return Error{Code::invalid_argument,
                 "tensor \"" + tensor.name + "\": shape and dtype do not make its bytes", ""};
  }
  return safetensors_header(shapes, metadata);
}

Result<std::string> safetensors_header(std::span<const TensorShape> tensors,
                                       const std::map<std::string, std::string>& metadata) {
  auto header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  Bytes at = 0;
  for (const TensorShape& tensor : tensors) {
    const auto fail = [&](std::string what) {
      what.insert(0, "tensor \"" + tensor.name + "\": ");
      return Error{Code::invalid_argument, std::move(what), ""};
    };
    const Bytes bytes = TRY(byte_size(tensor));
    if (!simdjson::validate_utf8(tensor.name)) return fail("name is not UTF-8");
    if (tensor.name == "__metadata__") return fail("the name is reserved");
    header.push_back({tensor.name,
                      {{"dtype", to_string(tensor.dtype)},
                       {"shape", tensor.shape},
                       {"data_offsets", {at, at + bytes}}}});
    at += bytes;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  uint64_t length = text.size();
  std::string length_field(sizeof(length), '\0');
  std::memcpy(length_field.data(), &length, sizeof(length));
  return length_field + text;
}

Status write_safetensors(const fs::path& file,
                         std::span<const TensorView> tensors,
                         const std::map<std::string, std::string>& metadata) {
  const std::string header = TRY(safetensors_header(tensors, metadata));
  std::vector<std::span<const std::byte>> parts{as_bytes(header)};
  parts.reserve(tensors.size() + 1);
  for (const TensorView& tensor : tensors) parts.push_back(tensor.bytes);
  return replace_file(file, parts);
}

}  // namespace llmctl
