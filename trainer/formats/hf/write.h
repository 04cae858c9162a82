// Writing a model for Transformers: config.json, model.safetensors (or shards with
// model.safetensors.index.json when the weights are larger than one file may be), and texts beside
// them. The directory is written as `<name>.<pid>.tmp`, every file fsynced, then renamed, so it is
// whole or not there; an existing one is never touched (already_exists). Tensors are fetched one at
// a time. invalid_argument: a value that F16 cannot hold, naming the tensor. Knows nothing of
// torch.
#pragma once

#include <filesystem>

#include "trainer/formats/hf/directory.h"

namespace llmctl {

struct HfExport {
  nlohmann::json config_json;  // its dtype is written over
  std::vector<StoredTensor> tensors;
  DType dtype = DType::f32;           // f32, f16 or bf16
  Bytes shard_bytes = 5'000'000'000;  // of tensors in one file, unless one alone is larger
  Companions companions;              // written as they are
};
struct WrittenModel {
  int64_t tensors = 0, files = 0;  // files: all of them
  Bytes bytes = 0;
};
Result<WrittenModel> write_hf_directory(const std::filesystem::path& directory,
                                        const HfExport& model);

}  // namespace llmctl
