// The GGUF container, version 3: magic "GGUF", counts, key/value pairs, tensor infos, then tensor
// data, each at a multiple of general.alignment (32). Little endian; dimensions are stored
// innermost first, here they are outermost first as everywhere else. Reading maps the file and
// checks all of it before a tensor is handed out: sizes against what is left of the file, duplicate
// names, offsets, overlaps. Errors are invalid_argument and name file, key or tensor. Knows nothing
// of models.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "trainer/formats/gguf/blocks.h"
#include "trainer/formats/safetensors/stored_tensor.h"

namespace llmctl {

using GgufValue = std::variant<uint32_t,
                               int32_t,
                               float,
                               bool,
                               uint64_t,
                               double,
                               std::string,
                               std::vector<int32_t>,
                               std::vector<float>,
                               std::vector<std::string>>;
using GgufMetadata = std::map<std::string, GgufValue>;

struct GgufTensor {
  StoredTensor tensor;  // under its GGUF name
  GgufType type = GgufType::f32;
};

// Written as `<file>.<pid>.tmp`, fsynced, renamed; an existing file is already_exists. Returns its
// bytes. invalid_argument, naming the tensor: a value that is not finite or that F16 cannot hold.
Result<Bytes> write_gguf(const std::filesystem::path& file,
                         const GgufMetadata& metadata,
                         std::span<const GgufTensor> tensors);

struct GgufFile {
  GgufMetadata metadata;
  std::vector<StoredTensor> tensors;  // of GgufType's types; others are refused, by name
};
Result<GgufFile> read_gguf(const std::filesystem::path& file);

}  // namespace llmctl
