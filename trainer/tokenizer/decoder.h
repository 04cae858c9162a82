// The `decoder` of a tokenizer.json: what a token is in text. Steps up to Fuse see one token,
// so their work is done once, when the file is read; what is left after it concerns the beginning
// of a text only. Private to this room. Immutable; any thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "trainer/tokenizer/pieces/split.h"

namespace llmctl {

struct DecoderStep {
  enum class Kind { replace, byte_fallback, byte_level, metaspace, strip, word_end };
  Kind kind = Kind::replace;
  std::optional<SplitPattern> pattern;  // replace
  std::string text;                     // replace: instead; else what stands for something
  int64_t start = 0, stop = 0;          // strip: so many of `text` at most
};

struct DecoderRules {
  std::vector<DecoderStep> steps;  // of each token
  std::string front;               // of the whole text: so many of these at its front go
  int64_t front_count = 0;
  std::string word_end;        // a token that ends with this is followed by a space, not at the end
  bool separated = false;      // no decoder: spaces between tokens
  bool first_differs = false;  // Metaspace: the first token loses its spaces
};

std::string decoded(const DecoderRules& rules, const std::string& token, bool is_first);

}  // namespace llmctl
