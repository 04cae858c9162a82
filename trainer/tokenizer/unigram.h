// The Unigram model of SentencePiece (Kudo, arXiv 1804.10959): every token has a score, and a piece
// of text becomes the tokens whose scores add up to most, found by Viterbi over its characters. A
// character that is no token costs as much as the worst one and ten more; neighbours of that kind
// become one unknown token, or the tokens of their bytes. Immutable once built; any thread.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "trainer/tokenizer/bpe/pair_table.h"
#include "trainer/tokenizer/bpe/vocabulary.h"

namespace llmctl {

class UnigramModel : public PieceModel {
 public:
  UnigramModel(std::optional<int64_t> unk_id, bool byte_fallback)
      : unk_(unk_id), byte_fallback_(byte_fallback) {}
  Status add_token(std::string_view token, double score);  // ids count up from 0
  Status finish();

  Status encode(std::string_view piece, std::vector<int32_t>& ids) const override;

 private:
  struct Step {  // the best way to a place in the text
    double score = 0;
    int32_t id = 0;
    int32_t begin = kNowhere;
  };
  static constexpr int32_t kNowhere = -1;
  void extend(std::string_view piece,
              size_t begin,
              size_t character,
              std::vector<Step>& best) const;
  void add_unknown(std::string_view text, std::vector<int32_t>& ids) const;

  std::optional<int64_t> unk_;
  bool byte_fallback_;
  double unknown_score_ = 0;
  std::vector<double> scores_;
  PairTable edges_;                    // (node, byte) -> node
  std::vector<int32_t> token_of_{-1};  // by node; -1: no token ends there
};

}  // namespace llmctl
