// Tokens and their ids, and what every model does with them: turn a piece of text into ids. Ids
// need not be without gaps, and "" may be a token. Immutable once filled; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/result.h"

namespace llmctl {

inline constexpr std::string_view kWordStart = "\u2581";  // SentencePiece's mark of a space

class Vocabulary {
 public:
  // Names what is wrong without the file's name. Ids are 0..limits::kVocabSize-1.
  Status add_token(std::string_view token, int64_t id);
  // The same, but a token may come again: the last id is the one text gets.
  Status add_or_replace(std::string_view token, int64_t id);
  std::optional<int32_t> id_of(std::string_view token) const;
  bool has(int32_t id) const;
  const std::vector<std::string>& tokens() const { return tokens_; }  // by id; "" for gaps
  std::optional<int32_t> id_of_byte(uint8_t byte) const;              // of its token <0xNN>

 private:
  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  Status put(std::string_view token, int64_t id);
  std::vector<std::string> tokens_;
  std::vector<bool> taken_;  // by id
  std::unordered_map<std::string, int32_t, TextHash, std::equal_to<>> ids_;
};

class PieceModel {
 public:
  virtual ~PieceModel() = default;
  // Appends. Fails when the piece holds what the model has no token for and none for the unknown.
  virtual Status encode(std::string_view piece, std::vector<int32_t>& ids) const = 0;
  // SentencePiece style: no token goes over the start of a word, which is a "▁" after anything
  // else, so words may be encoded one by one.
  virtual bool words_are_apart() const { return false; }
  const Vocabulary& vocabulary() const { return vocabulary_; }

 protected:
  Vocabulary vocabulary_;
};

std::string shown(std::string_view token);  // for messages: hostile tokens may be long

}  // namespace llmctl
