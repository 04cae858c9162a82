// The safetensors format: u64 header length (little endian), JSON header, tensor bytes. Reading
// maps the file and checks everything before the first tensor is handed out: header at most 100
// MiB, starts with '{', no duplicate names, offsets in order without holes or overlap, whole file
// covered, bytes == shape x dtype. Errors are invalid_argument and name file and tensor. The format
// has no checksum; ours lie in the manifest beside it. Knows nothing of torch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/units.h"

namespace llmctl {

enum class DType {
  boolean,
  u8,
  i8,
  f8_e4m3,
  f8_e5m2,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  f64,
  i64,
  u64
};
Bytes byte_size(DType dtype);
const char* to_string(DType dtype);  // the format's name, e.g. "BF16"
std::optional<DType> parse_dtype(std::string_view name);

// A tensor as the I/O code sees it. The bytes belong to somebody else: the caller when writing, the
// mapped file when reading (valid as long as its SafetensorsFile).
struct TensorView {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;  // empty: a scalar
  std::span<const std::byte> bytes;
};

struct TensorShape {  // of bytes that will only be made while writing
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
};
// shape x dtype; invalid_argument, naming the tensor, when that is no size.
Result<Bytes> byte_size(const TensorShape& tensor);

class MappedFile;  // trainer/files/mapped_file.h

class SafetensorsFile {
 public:
  static Result<SafetensorsFile> open(const std::filesystem::path& file);
  // Takes a mapping that was already made (and verified); `name` stands for the file in errors.
  static Result<SafetensorsFile> parse(std::shared_ptr<const MappedFile> file, std::string name);

  const std::vector<TensorView>& tensors() const { return tensors_; }  // in file order
  const TensorView* find(std::string_view name) const;                 // nullptr: not there
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  std::shared_ptr<const MappedFile> file_;
  std::vector<TensorView> tensors_;
  std::map<std::string, size_t, std::less<>> index_;
  std::map<std::string, std::string> metadata_;
};

// Header bytes for these tensors in this order (length field, JSON, padding to 8); the tensor bytes
// follow back to back. Requires bytes == shape x dtype and distinct names, else invalid_argument.
Result<std::string> safetensors_header(std::span<const TensorView> tensors,
                                       const std::map<std::string, std::string>& metadata);
Result<std::string> safetensors_header(std::span<const TensorShape> tensors,
                                       const std::map<std::string, std::string>& metadata);
// Writes a whole file (tmp, fsync, rename). For weights people take away; checkpoints use
// trainer/checkpoint/checkpoint.h.
Status write_safetensors(const std::filesystem::path& file,
                         std::span<const TensorView> tensors,
                         const std::map<std::string, std::string>& metadata);

}  // namespace llmctl
