#include "trainer/tokenizer/added_tokens.h"

#include <algorithm>

#include "core/base/utf8.h"
#include "trainer/tokenizer/pieces/characters.h"
#include "trainer/tokenizer/pieces/unicode_class.h"

namespace llmctl {
namespace {

uint32_t code_point_at(std::string_view text, size_t at) {
  return next_code_point(text, at);
}

// Start of the character that ends at `end`.
size_t character_before(std::string_view text, size_t end) {
  size_t at = end - 1;
  while (at > 0 && end - at < 4 && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

bool is_word(uint32_t code) {
  return rust_word_set().contains(code);
}

bool is_space(uint32_t code) {
  return space_set().contains(code);
}

bool stands_alone(std::string_view text, size_t begin, size_t end) {
  const bool word_before = begin > 0 && is_word(code_point_at(text, character_before(text, begin)));
  const bool word_after = end < text.size() && is_word(code_point_at(text, end));
  return !word_before && !word_after;
}

size_t spaces_begin(std::string_view text, size_t end, size_t limit) {
  while (end > limit) {
    const size_t at = character_before(text, end);
    if (at < limit || !is_space(code_point_at(text, at))) break;
    end = at;
  }
  return end;
}

size_t spaces_end(std::string_view text, size_t at) {
  while (at < text.size() && is_space(code_point_at(text, at))) {
    at += std::max<size_t>(utf8_length(text.substr(at)), 1);
  }
  return at;
}

}  // namespace

void AddedTokenSet::add(const AddedToken& token, const std::string& pattern) {
  if (pattern.empty()) return;
  size_t node = 0;
  for (const char c : pattern) {
    const auto [next, is_new] = trie_[node].next.emplace(c, static_cast<int32_t>(trie_.size()));
    node = static_cast<size_t>(next->second);
    if (is_new) trie_.emplace_back();
  }
  if (trie_[node].token >= 0) return;
  trie_[node].token = static_cast<int32_t>(tokens_.size());
  tokens_.push_back(token);
  starts_[static_cast<uint8_t>(pattern[0])] = true;
}

const AddedToken* AddedTokenSet::longest_at(std::string_view text,
                                            size_t at,
                                            size_t& length) const {
  const AddedToken* found = nullptr;
  size_t node = 0;
  for (size_t i = at; i < text.size(); ++i) {
    const auto next = trie_[node].next.find(text[i]);
    if (next == trie_[node].next.end()) break;
    node = static_cast<size_t>(next->second);
    if (trie_[node].token < 0) continue;
    found = &tokens_[static_cast<size_t>(trie_[node].token)];
    length = i + 1 - at;
  }
  return found;
}

Status AddedTokenSet::split(std::string_view text, const Emit& emit) const {
  size_t gap = 0;  // end of the last token
  for (size_t at = 0; at < text.size();) {
    size_t length = 0;
    const AddedToken* token = nullptr;
    if (starts_[static_cast<uint8_t>(text[at])]) token = longest_at(text, at, length);
    if (token == nullptr) {
      ++at;
      continue;
    }
    size_t begin = at, end = at + length;
    at = end;
    if (token->single_word && !stands_alone(text, begin, end)) continue;
    if (token->lstrip) begin = spaces_begin(text, begin, gap);
    if (token->rstrip) end = spaces_end(text, end);
    if (begin > gap) TRY(emit(text.substr(gap, begin - gap), -1));
    TRY(emit(text.substr(begin, end - begin), token->id));
    gap = at = end;
  }
  if (gap < text.size()) TRY(emit(text.substr(gap), -1));
  return ok_status();
}

}  // namespace llmctl
