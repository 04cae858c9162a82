#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "trainer/files/content_hash.h"
#include "trainer/files/disk.h"
#include "trainer/formats/gguf/format.h"
#include "trainer/formats/gguf/gguf.h"
#include "trainer/formats/safetensors/half.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace {

template <class T>
void put(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof bytes);
}

void put(std::string& out, const std::string& text) {
  put(out, static_cast<uint64_t>(text.size()));
  out += text;
}

// What a file calls the type of a C++ value.
struct PutValue {
  std::string& out;

  void operator()(uint32_t value) const { scalar(GgufKind::u32, value); }
  void operator()(int32_t value) const { scalar(GgufKind::i32, value); }
  void operator()(float value) const { scalar(GgufKind::f32, value); }
  void operator()(bool value) const { scalar(GgufKind::boolean, static_cast<uint8_t>(value)); }
  void operator()(uint64_t value) const { scalar(GgufKind::u64, value); }
  void operator()(double value) const { scalar(GgufKind::f64, value); }
  void operator()(const std::string& value) const { scalar(GgufKind::string, value); }
  void operator()(const std::vector<int32_t>& values) const { list(GgufKind::i32, values); }
  void operator()(const std::vector<float>& values) const { list(GgufKind::f32, values); }
  void operator()(const std::vector<std::string>& values) const { list(GgufKind::string, values); }

 private:
  template <class T>
  void scalar(GgufKind kind, const T& value) const {
    put(out, static_cast<uint32_t>(kind));
    put(out, value);
  }
  template <class T>
  void list(GgufKind kind, const std::vector<T>& values) const {
    put(out, static_cast<uint32_t>(GgufKind::array));
    put(out, static_cast<uint32_t>(kind));
    put(out, static_cast<uint64_t>(values.size()));
    for (const T& value : values) put(out, value);
  }
};

uint64_t aligned(uint64_t bytes) {
  return (bytes + kGgufAlignment - 1) / kGgufAlignment * kGgufAlignment;
}

uint64_t data_bytes(const GgufTensor& tensor) {
  const int64_t blocks = tensor.tensor.elements() / block_elements(tensor.type);
  return static_cast<uint64_t>(blocks * block_bytes(tensor.type));
}

// Everything before the data, padded.
std::string header_of(const GgufMetadata& metadata, std::span<const GgufTensor> tensors) {
  std::string out(kGgufMagic);
  put(out, kGgufVersion);
  put(out, static_cast<uint64_t>(tensors.size()));
  put(out, static_cast<uint64_t>(metadata.size()));
  for (const auto& [key, value] : metadata) {
    put(out, key);
    std::visit(PutValue{out}, value);
  }
  uint64_t offset = 0;
  for (const GgufTensor& tensor : tensors) {
    const std::vector<int64_t>& shape = tensor.tensor.shape;
    put(out, tensor.tensor.name);
    put(out, static_cast<uint32_t>(shape.size()));
    for (size_t i = shape.size(); i-- > 0;) put(out, static_cast<uint64_t>(shape[i]));
    put(out, static_cast<uint32_t>(tensor.type));
    put(out, offset);
    offset += aligned(data_bytes(tensor));
  }
  out.resize(aligned(out.size()), '\0');
  return out;
}

Status check_values(const GgufTensor& tensor, std::span<const float> values) {
  const auto fail = [&](const char* what, const char* hint) {
    return Error{Code::invalid_argument, "tensor \"" + tensor.tensor.name + "\": " + what, hint};
  };
  if (!std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); })) {
    return fail("has values that are not finite", "");
  }
  if (tensor.type == GgufType::f16 && beyond_f16(values)) {
    return fail("has values beyond fp16's largest, 65504", "use bf16 or fp32");
  }
  return ok_status();
}

Status write_data(FileWriter& writer, std::span<const GgufTensor> tensors) {
  std::vector<float> values;
  std::vector<std::byte> bytes;
  for (const GgufTensor& tensor : tensors) {
    CHECK(tensor.tensor.shape.back() % block_elements(tensor.type) == 0);
    values.resize(static_cast<size_t>(tensor.tensor.elements()));
    tensor.tensor.read(values);
    TRY(check_values(tensor, values));
    bytes.clear();
    append_blocks(tensor.type, values, bytes);
    bytes.resize(aligned(bytes.size()));
    TRY(writer.write(bytes));
  }
  return ok_status();
}

}  // namespace

Result<Bytes> write_gguf(const fs::path& file,
                         const GgufMetadata& metadata,
                         std::span<const GgufTensor> tensors) {
  std::error_code failed;
  if (fs::exists(fs::symlink_status(file, failed))) {
    return Error{Code::already_exists, file.string() + ": is already there",
                 "choose another name; nothing is written over"};
  }
  const fs::path folder = fs::absolute(file).lexically_normal().parent_path();
  fs::create_directories(folder, failed);
  if (failed) return disk_error("cannot make directory", folder, failed.value());
  const std::string header = header_of(metadata, tensors);
  uint64_t bytes = header.size();
  for (const GgufTensor& tensor : tensors) bytes += aligned(data_bytes(tensor));
  TRY(check_free_space(folder, static_cast<Bytes>(bytes)));
  fs::path temporary = file;
  temporary += "." + std::to_string(::getpid()) + ".tmp";
  ::unlink(temporary.c_str());  // of an earlier process with our pid
  const auto written = [&]() -> Status {
    auto writer = TRY(FileWriter::create(temporary, {}));
    TRY(writer.write(as_bytes(header)));
    TRY(write_data(writer, tensors));
    TRY(writer.finish());
    return rename_new(temporary, file, {});
  }();
  if (!written.ok()) {
    ::unlink(temporary.c_str());
    return written.error();
  }
  TRY(sync_directory(folder, {}));
  return static_cast<Bytes>(bytes);
}

}  // namespace llmctl
