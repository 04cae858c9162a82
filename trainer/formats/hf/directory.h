// A model as a Hugging Face directory: config.json, model.safetensors or the shards that
// model.safetensors.index.json lists, and small texts beside them (tokenizer, generation settings,
// chat template). Files are memory-mapped. Everything is hostile: sizes are bounded, the index can
// name nothing outside the directory, tensors that the index does not tell of are refused. Errors
// are invalid_argument or not_found and name file and tensor. Knows nothing of torch.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/model/model_config.h"
#include "trainer/formats/safetensors/stored_tensor.h"

namespace llmctl {

// Small files that travel with a model as they are: name -> text.
using Companions = std::map<std::string, std::string>;

struct HfDirectory {
  ModelConfig config;
  nlohmann::json config_json;         // as read; token ids of begin and end are taken from here
  std::vector<StoredTensor> tensors;  // empty: the directory has only a shape
  Companions companions;              // those of kCompanionNames that are there
};
inline constexpr const char* kCompanionNames[] = {"tokenizer.json", "tokenizer_config.json",
                                                  "special_tokens_map.json",
                                                  "generation_config.json", "chat_template.jinja"};

Result<HfDirectory> open_hf_directory(const std::filesystem::path& directory);
// Those of kCompanionNames that lie in `directory`.
Result<Companions> read_companions(const std::filesystem::path& directory);

}  // namespace llmctl
