// Cuts text into the pieces that BPE works on, as the `pre_tokenizer` of a tokenizer.json says: a
// chain of steps (ByteLevel, Split, Digits, Metaspace), each cutting what the one before gives.
// Patterns are written for Oniguruma; they run in PCRE2 with JIT, Unicode properties and a match
// limit, so a hostile pattern ends in an error and not in a hang. Immutable; any thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "trainer/tokenizer/pieces/published_patterns.h"

namespace llmctl {

class SplitPattern {
 public:
  static Result<SplitPattern> compile(std::string_view pattern);
  static SplitPattern literal(std::string_view text);  // matches this text, not a pattern
  using Emit = std::function<Status(std::string_view piece, bool matched)>;
  // Matches and the gaps between them, in order, none empty. Invalid UTF-8 never matches.
  Status split(std::string_view text, const Emit& emit) const;
  Status split_by_pcre2(std::string_view text, const Emit& emit) const;  // the same, for tests
  const std::optional<PublishedPattern>& published() const { return published_; }

 private:
  struct Compiled;
  Status split_valid(std::string_view text, const Emit& emit) const;
  std::optional<PublishedPattern> published_;
  std::shared_ptr<const Compiled> code_;
  std::string literal_;
};

struct PreTokenizerStep {
  enum class Kind { byte_level, split, metaspace };
  Kind kind = Kind::split;
  std::vector<SplitPattern> pattern;  // none or one
  bool remove_matches = false;        // split: behavior "Removed"
  bool keep_only_matches = false;     // split: "Removed" with invert
  bool add_prefix_space = false;      // byte_level
  std::string replacement;            // metaspace: stands for a space
  enum class Prepend { never, first, always };
  Prepend prepend = Prepend::never;  // metaspace
};

class PreTokenizer {
 public:
  using Emit = std::function<Status(std::string_view piece)>;
  void add(PreTokenizerStep step) { steps_.push_back(std::move(step)); }
  bool byte_level() const;
  bool empty() const { return steps_.empty(); }
  // Set when splitting valid UTF-8 is nothing but this pattern.
  const PublishedPattern* only_published() const;
  // `first`: the text begins the whole input (Metaspace asks).
  Status split(std::string_view text, bool first, const Emit& emit) const;

 private:
  Status run(size_t step, std::string_view text, bool first, const Emit& emit) const;
  std::vector<PreTokenizerStep> steps_;
};

// GPT-2's pattern, used by ByteLevel with use_regex and by the trainer.
const SplitPattern& gpt2_pattern();

}  // namespace llmctl
