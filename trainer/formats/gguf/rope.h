// Stretched rotary embeddings that GGUF keeps as tensors of what each pair's angle is divided by:
// rope_freqs for Llama-3's rule, rope_factors_short and _long for Phi-3's LongRoPE, whose length
// and attention factor are keys. Reading looks for the rule of Llama-3 that gives the numbers of
// rope_freqs; where there is none, the factors are kept as they are. Errors (invalid_argument) name
// the tensor or key. Pure.
#pragma once

#include "core/model/model_config.h"
#include "trainer/formats/gguf/gguf.h"

namespace llmctl {

// The decimal number that people wrote, when it was stored as a float: 1e-5, not 9.99999975e-06.
double as_written(float value);

bool is_rope_tensor(std::string_view name);
std::vector<GgufTensor> rope_tensors(const ModelConfig& config);
// Whether the config stretches its embeddings in a way that such tensors can hold.
bool has_rope_tensors(const ModelConfig& config);

// Sets rope of a config that was read without them. `prefix`: of the architecture's keys.
Status read_rope_tensors(const GgufFile& file, const std::string& prefix, ModelConfig& config);

}  // namespace llmctl
