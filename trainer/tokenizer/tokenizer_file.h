// Reads a tokenizer.json into Tokenizer::Parts. Everything in the file either takes effect or is
// refused by name; the exceptions are truncation and padding, which concern batches of texts, and
// what post_processor puts behind a text. Hostile input. Private to this room; pure.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "trainer/tokenizer/json_member.h"
#include "trainer/tokenizer/parts.h"

namespace llmctl {

// Fills everything but eos, fingerprint and json. Errors name the place inside the file.
Status read_tokenizer_file(std::string_view text, Tokenizer::Parts& parts);

// A component is null, one step, or a Sequence (nested ones too) whose steps are under `items`.
Result<std::vector<JsonMember>> steps_of(const JsonMember& component, const std::string& items);

// {"String": "..."} or {"Regex": "..."}
Result<SplitPattern> read_pattern(const JsonMember& field);

// Its sections. Each fills its own part and may read those that come before it here.
Status read_normalizer(const JsonMember& root, Tokenizer::Parts& parts);
Status read_pretokenizer(const JsonMember& root, Tokenizer::Parts& parts);
Status read_model(const JsonMember& root, Tokenizer::Parts& parts);
Status read_added_tokens(const JsonMember& root, Tokenizer::Parts& parts);
Status read_post_processor(const JsonMember& root, Tokenizer::Parts& parts);
Status read_decoder(const JsonMember& root, Tokenizer::Parts& parts);

}  // namespace llmctl
