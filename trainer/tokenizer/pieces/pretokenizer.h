// Cuts text into the pieces that a model works on, as the `pre_tokenizer` of a tokenizer.json says:
// a chain of steps, each cutting what the one before gives. Immutable; any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "trainer/tokenizer/pieces/split.h"

namespace llmctl {

// A step may change the text first (ByteLevel a leading space, Metaspace) and then cuts it.
struct PreTokenizerStep {
  enum class Kind { split, byte_level, metaspace, scripts };
  Kind kind = Kind::split;
  std::optional<SplitPattern> pattern;
  SplitBehavior behavior = SplitBehavior::isolated;
  bool invert = false;
  bool add_prefix_space = false;  // byte_level
  std::string replacement;        // metaspace: stands for a space
  enum class Prepend { never, first, always };
  Prepend prepend = Prepend::never;  // metaspace
};

class PreTokenizer {
 public:
  using Emit = std::function<Status(std::string_view piece)>;
  void add(PreTokenizerStep step) { steps_.push_back(std::move(step)); }
  // The last step turns pieces into the byte alphabet. The pieces come as they are: the model
  // knows the alphabet. A ByteLevel before the last is done here.
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

}  // namespace llmctl
