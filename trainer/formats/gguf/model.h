// A model in GGUF's terms: the keys that say its shape, and its tensors under GGUF's names and in
// GGUF's conventions: rows of q and k reordered for architecture `llama` (the two halves of each
// head interleaved), Gemma's norms with one added, q/k/v and gate/up fused where the architecture
// fuses, tensors for some rotary scalings (rope.h). Follows llama.cpp's converter of Hugging
// Face models. Errors name what a GGUF file cannot express
// (failed_precondition), or the key or tensor that is wrong (invalid_argument). Pure.
#pragma once

#include "core/model/model_config.h"
#include "trainer/formats/gguf/gguf.h"

namespace llmctl {

// "general.*" and "<architecture>.*". `type`: that of most tensors.
Result<GgufMetadata> gguf_metadata(const ModelConfig& config,
                                   const std::string& name,
                                   GgufType type);
// `slots` as ParameterLayout(config)'s. Matrices become `type`, with Q6_K for the head of a Q4_K
// model. Rows that do not fill blocks of 256 fall back as in llama.cpp, Q4_K to Q5_0 and Q6_K to
// Q8_0; those that fill none of 32 to F16. Vectors stay F32.
std::vector<GgufTensor> gguf_tensors(const ModelConfig& config,
                                     const std::vector<StoredTensor>& slots,
                                     GgufType type);

Result<ModelConfig> config_of_gguf(const GgufFile& file);
Result<std::vector<StoredTensor>> slots_of_gguf(const ModelConfig& config, const GgufFile& file);

}  // namespace llmctl
