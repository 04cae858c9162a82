#include "trainer/formats/hf/write.h"

#include <unistd.h>

#include <cstdio>

#include "trainer/files/content_hash.h"
#include "trainer/files/disk.h"
#include "trainer/formats/safetensors/half.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace {

struct Shard {
  std::string file;
  std::vector<const StoredTensor*> tensors;
  std::vector<TensorShape> shapes;
  Bytes bytes = 0;  // of the tensors
};

std::string shard_name(size_t number, size_t count) {
  if (count == 1) return "model.safetensors";
  char name[64];
  std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", number, count);
  return name;
}

// In the given order, a new file whenever the next tensor would make one too large.
Result<std::vector<Shard>> plan_shards(const HfExport& model) {
  std::vector<Shard> shards(1);
  for (const StoredTensor& tensor : model.tensors) {
    TensorShape shape = {tensor.name, model.dtype, tensor.shape};
    const Bytes bytes = TRY(byte_size(shape));
    if (shards.back().bytes > 0 && shards.back().bytes + bytes > model.shard_bytes) {
      shards.emplace_back();
    }
    Shard& shard = shards.back();
    shard.tensors.push_back(&tensor);
    shard.shapes.push_back(std::move(shape));
    shard.bytes += bytes;
  }
  for (size_t i = 0; i < shards.size(); ++i) shards[i].file = shard_name(i + 1, shards.size());
  return shards;
}

Result<Bytes> write_text(const fs::path& file, std::string_view text) {
  auto writer = TRY(FileWriter::create(file, {}));
  TRY(writer.write(as_bytes(text)));
  return TRY(writer.finish()).bytes;
}

Result<Bytes> write_shard(const fs::path& file, const Shard& shard, DType dtype) {
  auto writer = TRY(FileWriter::create(file, {}));
  const std::string header = TRY(safetensors_header(shard.shapes, {{"format", "pt"}}));
  TRY(writer.write(as_bytes(header)));
  std::vector<float> values;
  std::vector<std::byte> bytes;
  for (const StoredTensor* tensor : shard.tensors) {
    values.resize(static_cast<size_t>(tensor->elements()));
    tensor->read(values);
    if (dtype == DType::f16 && beyond_f16(values)) {
      return Error{Code::invalid_argument,
                   "tensor \"" + tensor->name + "\": has values beyond fp16's largest, 65504",
                   "use bf16 or fp32"};
    }
    bytes.clear();
    append_as(dtype, values, bytes);
    TRY(writer.write(bytes));
  }
  return TRY(writer.finish()).bytes;
}

std::string index_of(const std::vector<Shard>& shards) {
  auto places = nlohmann::json::object();
  Bytes total = 0;
  for (const Shard& shard : shards) {
    total += shard.bytes;
    for (const TensorShape& tensor : shard.shapes) places[tensor.name] = shard.file;
  }
  return nlohmann::json{{"metadata", {{"total_size", total}}}, {"weight_map", places}}.dump(2) +
         "\n";
}

std::string config_text(const HfExport& model) {
  nlohmann::json config = model.config_json;
  const char* name = model.dtype == DType::f16    ? "float16"
                     : model.dtype == DType::bf16 ? "bfloat16"
                                                  : "float32";
  config["dtype"] = config["torch_dtype"] = name;  // Transformers 5 and 4
  return config.dump(2) + "\n";
}

Result<WrittenModel> write_files(const fs::path& directory,
                                 const HfExport& model,
                                 const std::vector<Shard>& shards) {
  WrittenModel written;
  Companions texts = model.companions;
  texts["config.json"] = config_text(model);
  if (shards.size() > 1) texts["model.safetensors.index.json"] = index_of(shards);
  for (const auto& [name, text] : texts) written.bytes += TRY(write_text(directory / name, text));
  for (const Shard& shard : shards) {
    written.bytes += TRY(write_shard(directory / shard.file, shard, model.dtype));
  }
  written.tensors = static_cast<int64_t>(model.tensors.size());
  written.files = static_cast<int64_t>(texts.size() + shards.size());
  TRY(sync_directory(directory, {}));
  return written;
}

}  // namespace

Result<WrittenModel> write_hf_directory(const fs::path& directory, const HfExport& model) {
  const fs::path target = fs::absolute(directory / "").lexically_normal().parent_path();
  const auto shards = TRY(plan_shards(model));
  Bytes bytes = 0;
  for (const Shard& shard : shards) bytes += shard.bytes;
  std::error_code failed;
  if (fs::exists(fs::symlink_status(target, failed))) {
    return Error{Code::already_exists, target.string() + ": is already there",
                 "choose another name; nothing is written over"};
  }
  fs::create_directories(target.parent_path(), failed);
  if (failed) return disk_error("cannot make directory", target.parent_path(), failed.value());
  TRY(check_free_space(target.parent_path(), bytes));
  fs::path temporary = target;
  temporary += "." + std::to_string(::getpid()) + ".tmp";
  fs::remove_all(temporary, failed);  // of an earlier process with our pid
  TRY(make_directory(temporary, {}));
  auto written = write_files(temporary, model, shards);
  if (written.ok()) {
    const Status renamed = rename_new(temporary, target, {});
    if (!renamed.ok()) written = renamed.error();
  }
  if (!written.ok()) {
    fs::remove_all(temporary, failed);  // the first error is the one to report
    return written;
  }
  TRY(sync_directory(target.parent_path(), {}));
  return written;
}

}  // namespace llmctl
