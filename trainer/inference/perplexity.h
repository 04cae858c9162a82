// How well a model predicts a text. The text is one sequence of tokens that begins as every text of
// the tokenizer does, with nothing else added; every token but the first is predicted once. Windows
// of sequence_len tokens begin every `stride` tokens; of a window that overlaps the one before only
// the predictions that are new count (its last `stride`), so a smaller stride gives each token more
// context, at its price. Losses are nats.
#pragma once

#include <string_view>

#include "trainer/model/model.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {

struct TextScore {
  int64_t tokens = 0;        // predicted ones
  double loss = 0;           // mean over them, nats
  double perplexity = 0;     // exp(loss)
  double bits_per_byte = 0;  // all losses in bits / all bytes of the text
};

// Windows are model.options().sequence_len long. Requires 1 <= stride <= that. invalid_argument:
// the text has fewer than two tokens.
Result<TextScore> score_text(Model& model,
                             const Tokenizer& tokenizer,
                             std::string_view text,
                             int64_t stride);

}  // namespace llmctl
