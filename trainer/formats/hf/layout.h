// Between our parameter slots (parameter_layout.h) and the tensors of a Hugging Face directory of
// the family (names.h): renamed, transposed for GPT-2, cut apart or fused where the family
// fuses. Lazy: values flow when the result is read. Pure.
#pragma once

#include <map>

#include "core/model/model_config.h"
#include "trainer/formats/hf/names.h"
#include "trainer/formats/safetensors/stored_tensor.h"

namespace llmctl {

// One tensor per slot, in their order. `tensors` may lack the first part of their names, and may
// hold buffers and the second name of a tied embedding, which are dropped. invalid_argument names
// all that is missing, unexpected or wrongly shaped. Requires: to_hf_config(config) is ok.
Result<std::vector<StoredTensor>> slots_from_hf(const ModelConfig& config,
                                                const std::vector<StoredTensor>& tensors);

// `slots` as slots_from_hf gives them.
std::vector<StoredTensor> hf_from_slots(const ModelConfig& config,
                                        const std::vector<StoredTensor>& slots);

// What slots_from_hf and hf_from_slots do, for any list of places, one per slot: GGUF files have
// places of their own. `stored`: the tensors of a file, by name.
Result<std::vector<StoredTensor>> cut_slots(const ModelConfig& config,
                                            const std::vector<HfPlace>& places,
                                            const std::map<std::string, StoredTensor>& stored);
std::vector<StoredTensor> fuse_slots(const std::vector<HfPlace>& places,
                                     const std::vector<StoredTensor>& slots);

}  // namespace llmctl
