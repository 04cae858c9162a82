// A model wherever it is stored: a checkpoint directory, a Hugging Face directory or a GGUF file,
// all spoken of as one list of tensors under Hugging Face's names. Opening reads (and checks)
// headers and small files only, but every byte of a checkpoint; values are fetched by
// model/load_model.h or a writer. Errors: not_found, invalid_argument or data_loss, naming file and
// tensor.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "core/job/job_spec.h"
#include "trainer/formats/hf/directory.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {

struct StoredModel {
  std::filesystem::path path;
  const char* form = "";  // "checkpoint" | "Hugging Face directory" | "GGUF file"
  ModelConfig config;
  nlohmann::json config_json;       // of a directory: as read; else null
  std::vector<StoredTensor> slots;  // as ParameterLayout(config)'s; empty: only a config.json
  Companions companions;
  std::function<Result<Tokenizer>()> tokenizer;  // opens it; not_found: there is none
  nlohmann::json state;                          // of a checkpoint: its state.json; else null
  std::optional<JobSpec> spec;                   // of a checkpoint: what trained it
  std::optional<int32_t> turn_end;               // of a fine-tuned one: the token that ends turns

  int64_t context_len() const;  // tokens: what it was trained on at once, as far as is known
};

Result<StoredModel> open_stored_model(const std::filesystem::path& path);

}  // namespace llmctl
