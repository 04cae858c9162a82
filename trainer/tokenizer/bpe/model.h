// The merge step of BPE (Sennrich et al., arXiv 1508.07909): a piece of text becomes symbols, and
// the adjacent pair of lowest rank is merged, leftmost first, until no pair is in the table. Short
// pieces are searched through again after each merge; a heap over a linked list keeps long ones
// O(n log n). Immutable once built; any thread. Knows nothing of files, patterns or added tokens.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/result.h"
#include "trainer/tokenizer/bpe/pair_table.h"

namespace llmctl {

inline constexpr std::string_view kWordStart = "\u2581";  // SentencePiece's mark of a space

class BpeModel {
 public:
  struct Options {
    bool byte_level = false;     // symbols are bytes, spelled in the byte alphabet
    bool byte_fallback = false;  // a character without a token becomes its <0xNN> tokens
    bool fuse_unk = false;       // neighbouring unknown characters become one unknown token
    bool ignore_merges = false;  // a piece that is a token is that token
    std::string unk_token;       // empty: unknown characters are dropped
  };

  // Both name what is wrong without the file's name. Ids are 0..limits::kVocabSize-1.
  Status add_token(std::string_view token, int64_t id);
  Status add_merge(std::string_view left, std::string_view right);  // in order of rank
  Status finish(const Options& options);                            // after all tokens

  void encode(std::string_view piece, std::vector<int32_t>& ids) const;
  // SentencePiece style: no merge goes over the start of a word, which is a "▁" after
  // anything else, so words may be encoded one by one.
  bool words_are_apart() const { return words_are_apart_; }
  std::optional<int32_t> id_of(std::string_view token) const;
  const std::vector<std::string>& tokens() const { return tokens_; }  // by id; "" for gaps

 private:
  struct Symbol {
    int32_t id, previous, next;  // positions in the list; -1: none
  };
  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  void to_symbols(std::string_view piece, std::vector<int32_t>& symbols) const;
  bool add_unknown_as_bytes(std::string_view character, std::vector<int32_t>& symbols) const;
  void merge_short(std::vector<int32_t>& symbols, size_t first) const;
  void merge_long(std::vector<int32_t>& symbols, size_t first) const;

  Options options_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int32_t, TextHash, std::equal_to<>> ids_;
  PairTable ranks_;
  std::vector<int32_t> merged_ids_;  // by rank
  bool words_are_apart_ = false;
  std::array<int32_t, 256> alphabet_ids_{};  // byte-level: token of one byte, or -1
  std::array<int32_t, 256> fallback_ids_{};  // <0xNN>, or -1
  int32_t unk_ = -1;
};

}  // namespace llmctl
