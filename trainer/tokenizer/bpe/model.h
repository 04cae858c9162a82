// The merge step of BPE (Sennrich et al., arXiv 1508.07909): a piece of text becomes symbols, and
// the adjacent pair of lowest rank is merged, leftmost first, until no pair is in the table. Short
// pieces are searched through again after each merge; a heap over a linked list keeps long ones
// O(n log n). Immutable once built; any thread. Knows nothing of files, patterns or added tokens.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "trainer/tokenizer/bpe/pair_table.h"
#include "trainer/tokenizer/bpe/vocabulary.h"

namespace llmctl {

class BpeModel : public PieceModel {
 public:
  struct Options {
    bool byte_level = false;     // symbols are bytes, spelled in the byte alphabet
    bool byte_fallback = false;  // a character without a token becomes its <0xNN> tokens
    bool fuse_unk = false;       // neighbouring unknown characters become one unknown token
    bool ignore_merges = false;  // a piece that is a token is that token
    std::string unk_token;       // empty: unknown characters are dropped
    std::string prefix, suffix;  // of symbols that go on a word, and of its last one
  };

  explicit BpeModel(Options options) : options_(std::move(options)) {}
  // Errors name what is wrong without the file's name. Tokens first, then merges by rank.
  Status add_token(std::string_view token, int64_t id) { return vocabulary_.add_token(token, id); }
  Status add_merge(std::string_view left, std::string_view right);
  Status finish();

  Status encode(std::string_view piece, std::vector<int32_t>& ids) const override;
  bool words_are_apart() const override { return words_are_apart_; }

 private:
  struct Symbol {
    int32_t id, previous, next;  // positions in the list; -1: none
  };
  bool has_affixes() const { return !options_.prefix.empty() || !options_.suffix.empty(); }
  void to_symbols(std::string_view piece, bool by_bytes, std::vector<int32_t>& symbols) const;
  bool add_unknown_as_bytes(std::string_view character, std::vector<int32_t>& symbols) const;
  int32_t symbol_of(std::string_view character, bool is_first, bool is_last) const;
  void merge_short(std::vector<int32_t>& symbols, size_t first) const;
  void merge_long(std::vector<int32_t>& symbols, size_t first) const;

  Options options_;
  PairTable ranks_;
  std::vector<int32_t> merged_ids_;  // by rank
  bool words_are_apart_ = false;
  std::array<int32_t, 256> alphabet_ids_{};  // byte-level: token of one byte, or -1
  std::array<int32_t, 256> fallback_ids_{};  // <0xNN>, or -1
  int32_t unk_ = -1;
};

}  // namespace llmctl
