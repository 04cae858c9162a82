// What a tokenizer.json becomes: the stages that text passes in encode() and ids in decode().
// Private to this room. Built once by read_tokenizer_file(), then immutable.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/tokenizer/added_tokens.h"
#include "trainer/tokenizer/bpe/model.h"
#include "trainer/tokenizer/pieces/pretokenizer.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {

struct NormalizerStep {
  enum class Kind { prepend, replace, nfc, nfd, nfkc, nfkd };
  Kind kind = Kind::prepend;
  std::string pattern, content;  // replace: plain texts; prepend: content
};

// How the text of ids is joined. The bytes of each id are worked out when the file is read.
struct DecoderRules {
  enum class Kind { byte_level, pieces };
  Kind kind = Kind::byte_level;
  std::vector<std::pair<std::string, std::string>> replacements;  // pieces: in order
  bool byte_fallback = false;                                     // pieces: <0xNN> is a byte
  bool strip_first_space = false;
};

struct Tokenizer::Parts {
  std::string json;  // as read: what save() writes
  std::string fingerprint;
  std::vector<AddedToken> added;
  AddedTokenSet raw_tokens, normalized_tokens;
  std::vector<NormalizerStep> normalizer;
  PreTokenizer pretokenizer;
  BpeModel model;
  DecoderRules decoder;
  std::vector<std::string> bytes_of_id;
  std::optional<int32_t> eos;
};

Result<std::string> normalize(const std::vector<NormalizerStep>& steps, std::string_view text);

// The tokenizer.json of a byte-level BPE: ids 0..255 are the bytes, then one id per merge, then
// <|endoftext|> and the special tokens. A merge is a pair of earlier ids.
std::string byte_level_json(const std::vector<std::pair<int32_t, int32_t>>& merges,
                            const std::vector<std::string>& special = {});

}  // namespace llmctl
