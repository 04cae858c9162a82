// Which tokens end a text of a stored model: those of eos_token_id, a number or a list, of its
// generation_config.json, or where that says none of its config.json; else the tokenizer's
// end-of-text token; and what a fine-tuned one has learned to end its turns with. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "trainer/stored/stored_model.h"

namespace llmctl {

std::vector<int32_t> end_tokens(const StoredModel& model, const Tokenizer& tokenizer);

}  // namespace llmctl
