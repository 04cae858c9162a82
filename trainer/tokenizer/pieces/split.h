// Cutting text at the matches of a pattern, as `Split` of a tokenizer.json does: the pattern finds
// matches, the behavior says what becomes of them and of the gaps between. Immutable; any thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "trainer/tokenizer/pieces/code_set.h"
#include "trainer/tokenizer/pieces/published_patterns.h"

namespace llmctl {

class SplitPattern {
 public:
  static Result<SplitPattern> compile(std::string_view pattern);  // written for Oniguruma
  static SplitPattern literal(std::string_view text);  // matches this text, not a pattern
  static SplitPattern one_of(const CodeSet& set);      // each of its characters is a match
  using Emit = std::function<Status(std::string_view piece, bool matched)>;
  // Matches and the gaps between them, in order. A match may be empty, a gap not. Invalid UTF-8
  // never matches.
  Status split(std::string_view text, const Emit& emit) const;
  Status split_by_pcre2(std::string_view text, const Emit& emit) const;  // the same, for tests
  const std::optional<PublishedPattern>& published() const { return published_; }

 private:
  struct Compiled;
  static Result<SplitPattern> compile_pcre2(const std::string& pattern);
  Status split_literal(std::string_view text, const Emit& emit) const;
  Status split_valid(std::string_view text, const Emit& emit) const;
  std::optional<PublishedPattern> published_;
  std::shared_ptr<const Compiled> code_;
  std::string literal_;
};

// With `contiguous`, neighbours of one kind are joined; merged ones end with the match after them
// or begin with the one before.
enum class SplitBehavior { isolated, removed, contiguous, merged_with_previous, merged_with_next };

// `emit` gets no empty piece. `invert`: gaps are taken for matches and matches for gaps.
Status split_by(const SplitPattern& pattern,
                SplitBehavior behavior,
                bool invert,
                std::string_view text,
                const std::function<Status(std::string_view piece)>& emit);

// GPT-2's pattern, used by ByteLevel with use_regex and by the trainer.
const SplitPattern& gpt2_pattern();

}  // namespace llmctl
