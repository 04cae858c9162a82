// What a tokenizer.json becomes: the stages that text passes in encode() and ids in decode().
// Private to this room. Built once by read_tokenizer_file(), then immutable.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/tokenizer/added_tokens.h"
#include "trainer/tokenizer/bpe/vocabulary.h"
#include "trainer/tokenizer/decoder.h"
#include "trainer/tokenizer/normalize.h"
#include "trainer/tokenizer/pieces/pretokenizer.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {

struct Tokenizer::Parts {
  std::string json;  // as read: what save() writes
  std::string fingerprint;
  std::vector<AddedToken> added;
  AddedTokenSet raw_tokens, normalized_tokens;
  std::vector<NormalizerStep> normalizer;
  PreTokenizer pretokenizer;
  std::unique_ptr<const PieceModel> model;
  DecoderRules decoder;
  std::vector<std::string> bytes_of_id;
  std::optional<int32_t> eos;
  std::vector<int32_t> begin;
};

// The tokenizer.json of a byte-level BPE: ids 0..255 are the bytes, then one id per merge, then
// <|endoftext|> and the special tokens. A merge is a pair of earlier ids.
std::string byte_level_json(const std::vector<std::pair<int32_t, int32_t>>& merges,
                            const std::vector<std::string>& special = {});

}  // namespace llmctl
