// What a Hugging Face directory says besides the weights: config.json with the ids of special
// tokens, generation_config.json, tokenizer_config.json, and README.md, a model card with the facts
// that are known. What the source had beside its weights is kept; the rest is made. Pure, apart
// from reading the tokenizer.
#pragma once

#include "trainer/formats/hf/write.h"
#include "trainer/stored/stored_model.h"

namespace llmctl {

Result<HfExport> hf_export(const StoredModel& model, DType dtype);
std::string model_card(const StoredModel& model, DType dtype);

}  // namespace llmctl
