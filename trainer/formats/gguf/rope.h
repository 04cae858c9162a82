// Stretched rotary embeddings that GGUF keeps as tensors of what each pair's angle is divided by:
// rope_freqs for Llama-3's rule, rope_factors_short and _long for Phi-3's LongRoPE, whose length
// and attention factor are keys. The rule of rope_freqs is found again from its numbers; where none
// fits, the factors stay as they are. Errors (invalid_argument) name the tensor or key. Pure.
#pragma once

#include "core/model/model_config.h"
#include "trainer/formats/gguf/gguf.h"

namespace llmctl {

// 1e-5 was stored as a float: the decimal number that people wrote.
double as_written(float value);

bool is_rope_tensor(std::string_view name);
std::vector<GgufTensor> rope_tensors(const ModelConfig& config);
// Whether rope_tensors() can say it.
bool has_rope_tensors(const ModelConfig& config);

// Sets rope of a config that was read without them. `prefix`: of the architecture's keys.
Status read_rope_tensors(const GgufFile& file, const std::string& prefix, ModelConfig& config);

}  // namespace llmctl
