// The size of a tokenizer.json's vocabulary, read as a stream without building the document: the
// CLI must know it before a model can be shaped, and the trainer's reader is not linked here. The
// file is hostile: bounded size, no exception. The trainer checks the rest of the file.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.h"

namespace llmctl {

// Largest id of model.vocab and added_tokens, plus 1: the rows an embedding needs.
Result<int64_t> tokenizer_vocab_size(const std::string& path);

}  // namespace llmctl
