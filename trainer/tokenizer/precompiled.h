// `Precompiled` of a tokenizer.json: the character map of a SentencePiece model, a trie of what is
// replaced (a Darts double array) and the replacements one after the other, each ended by a zero.
// Hostile input. Immutable; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace llmctl {

class PrecompiledMap {
 public:
  static Result<PrecompiledMap> parse(std::string_view base64);
  std::string apply(std::string_view text) const;

 private:
  std::optional<std::string_view> replacement(std::string_view text) const;
  std::vector<uint32_t> trie_;
  std::string texts_;
};

}  // namespace llmctl
