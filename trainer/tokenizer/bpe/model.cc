#include "trainer/tokenizer/bpe/model.h"

#include <algorithm>
#include <limits>
#include <queue>

#include "core/base/utf8.h"
#include "trainer/tokenizer/pieces/alphabet.h"

namespace llmctl {
namespace {

constexpr size_t kShortWord = 64;  // symbols; up to here searching again beats a heap
constexpr int32_t kNoRank = std::numeric_limits<int32_t>::max();

// Does a word start inside the token?
bool spans_words(std::string_view token) {
  for (size_t at = token.find(kWordStart, 1); at != token.npos;
       at = token.find(kWordStart, at + 1)) {
    if (!token.substr(0, at).ends_with(kWordStart)) return true;
  }
  return false;
}

}  // namespace

Status BpeModel::add_merge(std::string_view left, std::string_view right) {
  const auto left_id = vocabulary_.id_of(left), right_id = vocabulary_.id_of(right);
  if (!left_id) return invalid(shown(left) + " is not in the vocabulary");
  if (!right_id) return invalid(shown(right) + " is not in the vocabulary");
  // The right side goes on a word, the whole need not.
  const std::string whole =
      std::string(left).append(right.substr(std::min(options_.prefix.size(), right.size())));
  const auto id = vocabulary_.id_of(whole);
  if (!id) return invalid("the merged " + shown(whole) + " is not in the vocabulary");
  const auto rank = static_cast<int32_t>(merged_ids_.size());
  if (ranks_.insert(*left_id, *right_id, rank) != rank) {
    return invalid(shown(left) + " and " + shown(right) + " are merged twice");
  }
  merged_ids_.push_back(*id);
  return ok_status();
}

Status BpeModel::finish() {
  for (int byte = 0; byte < 256; ++byte) {
    const auto value = static_cast<uint8_t>(byte);
    alphabet_ids_[value] = vocabulary_.id_of(alphabet_char(value)).value_or(-1);
    fallback_ids_[value] = vocabulary_.id_of_byte(value).value_or(-1);
  }
  if (!options_.unk_token.empty()) {
    const auto unk = vocabulary_.id_of(options_.unk_token);
    if (!unk) {
      return invalid("unk_token " + shown(options_.unk_token) + " is not in the vocabulary");
    }
    unk_ = *unk;
  }
  const auto& tokens = vocabulary_.tokens();
  words_are_apart_ = !options_.byte_level && !options_.ignore_merges && !has_affixes() &&
                     vocabulary_.id_of(kWordStart) &&
                     std::none_of(merged_ids_.begin(), merged_ids_.end(), [&](int32_t id) {
                       return spans_words(tokens[static_cast<size_t>(id)]);
                     });
  return ok_status();
}

int32_t BpeModel::symbol_of(std::string_view character, bool is_first, bool is_last) const {
  if (!has_affixes()) return vocabulary_.id_of(character).value_or(-1);
  const std::string symbol =
      (is_first ? "" : options_.prefix) + std::string(character) + (is_last ? options_.suffix : "");
  return vocabulary_.id_of(symbol).value_or(-1);
}

bool BpeModel::add_unknown_as_bytes(std::string_view character,
                                    std::vector<int32_t>& symbols) const {
  if (!options_.byte_fallback) return false;
  const auto id = [&](char c) { return fallback_ids_[static_cast<uint8_t>(c)]; };
  if (std::any_of(character.begin(), character.end(), [&](char c) { return id(c) < 0; })) {
    return false;
  }
  for (const char c : character) symbols.push_back(id(c));
  return true;
}

void BpeModel::to_symbols(std::string_view piece,
                          bool by_bytes,
                          std::vector<int32_t>& symbols) const {
  bool unknown = false;  // an unknown token is due: written once the run of unknowns ends
  const auto flush = [&] {
    if (unknown) symbols.push_back(unk_);
    unknown = false;
  };
  for (size_t i = 0; i < piece.size();) {
    std::string_view character;
    int32_t id = -1;
    if (by_bytes) {
      const auto byte = static_cast<uint8_t>(piece[i++]);
      id = alphabet_ids_[byte];
      character = alphabet_char(byte);
    } else {
      character = piece.substr(i, std::max<size_t>(utf8_length(piece.substr(i)), 1));
      const bool is_first = i == 0;
      i += character.size();
      id = symbol_of(character, is_first, i == piece.size());
    }
    if (id >= 0) {
      flush();
      symbols.push_back(id);
    } else if (!add_unknown_as_bytes(character, symbols) && unk_ >= 0) {
      if (!options_.fuse_unk) flush();
      unknown = true;
    }
  }
  flush();
}

void BpeModel::merge_short(std::vector<int32_t>& symbols, size_t first) const {
  std::array<int32_t, kShortWord> ranks;  // ranks[i]: of the pair (i, i + 1)
  int32_t* ids = symbols.data() + first;
  size_t count = symbols.size() - first;
  const auto rank_at = [&](size_t i) {
    const int32_t rank = ranks_.find(ids[i], ids[i + 1]);
    return rank == PairTable::kNone ? kNoRank : rank;
  };
  for (size_t i = 0; i + 1 < count; ++i) ranks[i] = rank_at(i);
  while (count > 1) {
    const auto* best = std::min_element(ranks.data(), ranks.data() + count - 1);
    if (*best == kNoRank) break;
    const auto at = static_cast<size_t>(best - ranks.data());
    ids[at] = merged_ids_[static_cast<size_t>(*best)];
    std::copy(ids + at + 2, ids + count, ids + at + 1);
    std::copy(ranks.data() + at + 1, ranks.data() + count - 1, ranks.data() + at);
    --count;
    if (at > 0) ranks[at - 1] = rank_at(at - 1);
    if (at + 1 < count) ranks[at] = rank_at(at);
  }
  symbols.resize(first + count);
}

void BpeModel::merge_long(std::vector<int32_t>& ids, size_t first) const {
  struct Candidate {
    int32_t rank, position;
    bool operator<(const Candidate& other) const {  // top of the heap: lowest rank, then leftmost
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };
  const auto count = static_cast<int32_t>(ids.size() - first);
  std::vector<Symbol> symbols;
  symbols.reserve(static_cast<size_t>(count));
  for (int32_t i = 0; i < count; ++i) {
    symbols.push_back(
        {ids[first + static_cast<size_t>(i)], i - 1, i + 1 < count ? i + 1 : PairTable::kNone});
  }
  std::priority_queue<Candidate> heap;
  const auto at = [&](int32_t i) -> Symbol& { return symbols[static_cast<size_t>(i)]; };
  const auto offer = [&](int32_t left) {
    if (left < 0 || at(left).next < 0) return;
    const int32_t rank = ranks_.find(at(left).id, at(at(left).next).id);
    if (rank != PairTable::kNone) heap.push({rank, left});
  };
  for (int32_t i = 0; i < count; ++i) offer(i);
  while (!heap.empty()) {
    const Candidate best = heap.top();
    heap.pop();
    Symbol& left = at(best.position);
    if (left.id < 0 || left.next < 0) continue;  // swallowed by an earlier merge
    Symbol& right = at(left.next);
    if (ranks_.find(left.id, right.id) != best.rank) continue;  // one side has changed since
    left.id = merged_ids_[static_cast<size_t>(best.rank)];
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) at(left.next).previous = best.position;
    offer(left.previous);
    offer(best.position);
  }
  ids.resize(first);
  for (const Symbol& symbol : symbols) {
    if (symbol.id >= 0) ids.push_back(symbol.id);
  }
}

Status BpeModel::encode(std::string_view piece, std::vector<int32_t>& ids) const {
  std::string spelled;
  const bool by_bytes = options_.byte_level && !has_affixes();
  if (options_.byte_level && (options_.ignore_merges || has_affixes())) {
    spelled = in_alphabet(piece);
  }
  const std::string_view text = spelled.empty() ? piece : std::string_view(spelled);
  if (options_.ignore_merges) {
    if (const auto id = vocabulary_.id_of(text)) {
      ids.push_back(*id);
      return ok_status();
    }
  }
  const size_t first = ids.size();
  to_symbols(by_bytes ? piece : text, by_bytes, ids);
  if (ids.size() - first <= kShortWord) {
    merge_short(ids, first);
  } else {
    merge_long(ids, first);
  }
  return ok_status();
}

}  // namespace llmctl
