// A tokenizer in GGUF's terms: `tokenizer.ggml.*` for llama.cpp, `tokenizer.chat_template`, and the
// whole tokenizer.json as `tokenizer.huggingface.json`, from which it is read back exactly.
// Byte-level BPE becomes model "gpt2" with its merges, BPE with byte fallback model "llama" with
// scores that merge in the same order. Errors are invalid_argument. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "trainer/formats/gguf/gguf.h"
#include "trainer/formats/hf/directory.h"

namespace llmctl {

// `companions` holds tokenizer.json; `config_json` the ids of special tokens, as in a config.json;
// `vocab_size` the rows of the embedding: ids without a token get a placeholder.
Result<GgufMetadata> gguf_tokenizer(const Companions& companions,
                                    const nlohmann::json& config_json,
                                    int64_t vocab_size);

// What the file holds of them: tokenizer.json and chat_template.jinja.
Companions companions_of_gguf(const GgufFile& file);
// The ids of special tokens under config.json's names.
nlohmann::json special_ids_of_gguf(const GgufFile& file);

}  // namespace llmctl
