#include "trainer/bpe_model.h"

#include <algorithm>
#include <cstdio>
#include <queue>

#include "core/limits.h"
#include "trainer/bpe_alphabet.h"

namespace llmctl {
namespace {

constexpr size_t kTokenBytes = 4096;  // the longest public token has 256

Error bad(std::string message) {
  return Error{Code::invalid_argument, std::move(message), ""};
}

// For messages: hostile tokens may be long.
std::string shown(std::string_view token) {
  return "\"" + std::string(token.substr(0, 40)) + (token.size() > 40 ? "...\"" : "\"");
}

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

Status BpeModel::add_token(std::string_view token, int64_t id) {
  if (id < 0 || id >= limits::kVocabSize) {
    return bad(shown(token) + ": id " + std::to_string(id) + " is not between 0 and " +
               std::to_string(limits::kVocabSize - 1));
  }
  if (token.empty() || token.size() > kTokenBytes) {
    return bad("token of id " + std::to_string(id) + " is empty or longer than " +
               std::to_string(kTokenBytes) + " bytes");
  }
  const auto index = static_cast<size_t>(id);
  if (index >= tokens_.size()) tokens_.resize(index + 1);
  if (!tokens_[index].empty()) {
    return bad(shown(token) + ": id " + std::to_string(id) + " is already that of " +
               shown(tokens_[index]));
  }
  if (!ids_.emplace(token, static_cast<int32_t>(id)).second) {
    return bad(shown(token) + " appears twice");
  }
  tokens_[index] = token;
  return ok_status();
}

Status BpeModel::add_merge(std::string_view left, std::string_view right) {
  const auto left_id = id_of(left), right_id = id_of(right);
  if (!left_id) return bad(shown(left) + " is not in the vocabulary");
  if (!right_id) return bad(shown(right) + " is not in the vocabulary");
  const std::string whole = std::string(left).append(right);
  const auto id = id_of(whole);
  if (!id) return bad("the merged " + shown(whole) + " is not in the vocabulary");
  const Merge merge{static_cast<int32_t>(merges_.size()), *id};
  if (!merges_.emplace(pair_key(*left_id, *right_id), merge).second) {
    return bad(shown(left) + " and " + shown(right) + " are merged twice");
  }
  return ok_status();
}

Status BpeModel::finish(const Options& options) {
  options_ = options;
  for (int byte = 0; byte < 256; ++byte) {
    std::array<char, 8> name{};
    std::snprintf(name.data(), name.size(), "<0x%02X>", static_cast<unsigned>(byte));
    const auto index = static_cast<size_t>(byte);
    alphabet_ids_[index] = id_of(alphabet_char(static_cast<uint8_t>(byte))).value_or(-1);
    fallback_ids_[index] = id_of(name.data()).value_or(-1);
  }
  if (!options.unk_token.empty()) {
    const auto unk = id_of(options.unk_token);
    if (!unk) return bad("unk_token " + shown(options.unk_token) + " is not in the vocabulary");
    unk_ = *unk;
  }
  return ok_status();
}

std::optional<int32_t> BpeModel::id_of(std::string_view token) const {
  const auto found = ids_.find(token);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

const BpeModel::Merge* BpeModel::merge_of(int32_t left, int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

bool BpeModel::add_unknown_as_bytes(std::string_view character,
                                    std::vector<Symbol>& symbols) const {
  if (!options_.byte_fallback) return false;
  const auto id = [&](char c) { return fallback_ids_[static_cast<uint8_t>(c)]; };
  if (std::any_of(character.begin(), character.end(), [&](char c) { return id(c) < 0; })) {
    return false;
  }
  for (const char c : character) symbols.push_back({id(c), -1, -1});
  return true;
}

void BpeModel::to_symbols(std::string_view piece, std::vector<Symbol>& symbols) const {
  bool unknown = false;  // an unknown token is due: written once the run of unknowns ends
  const auto flush = [&] {
    if (unknown) symbols.push_back({unk_, -1, -1});
    unknown = false;
  };
  for (size_t i = 0; i < piece.size();) {
    std::string_view character;
    int32_t id = -1;
    if (options_.byte_level) {
      const auto byte = static_cast<uint8_t>(piece[i++]);
      id = alphabet_ids_[byte];
      character = alphabet_char(byte);
    } else {
      character = piece.substr(i, std::max<size_t>(utf8_length(piece.substr(i)), 1));
      id = id_of(character).value_or(-1);
      i += character.size();
    }
    if (id >= 0) {
      flush();
      symbols.push_back({id, -1, -1});
    } else if (!add_unknown_as_bytes(character, symbols) && unk_ >= 0) {
      if (!options_.fuse_unk) flush();
      unknown = true;
    }
  }
  flush();
}

void BpeModel::merge_all(std::vector<Symbol>& symbols) const {
  struct Candidate {
    int32_t rank, position, id;
    bool operator<(const Candidate& other) const {  // top of the heap: lowest rank, then leftmost
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };
  std::priority_queue<Candidate> heap;
  const auto at = [&](int32_t position) -> Symbol& {
    return symbols[static_cast<size_t>(position)];
  };
  const auto offer = [&](int32_t left) {
    if (left < 0 || at(left).next < 0) return;
    const Merge* merge = merge_of(at(left).id, at(at(left).next).id);
    if (merge != nullptr) heap.push({merge->rank, left, merge->id});
  };
  const auto count = static_cast<int32_t>(symbols.size());
  for (int32_t i = 0; i < count; ++i) {
    at(i).previous = i - 1;
    at(i).next = i + 1 < count ? i + 1 : -1;
  }
  for (int32_t i = 0; i < count; ++i) offer(i);
  while (!heap.empty()) {
    const Candidate best = heap.top();
    heap.pop();
    Symbol& left = at(best.position);
    if (left.id < 0 || left.next < 0) continue;  // swallowed by an earlier merge
    Symbol& right = at(left.next);
    const Merge* merge = merge_of(left.id, right.id);
    if (merge == nullptr || merge->id != best.id) continue;  // one side has changed since
    left.id = merge->id;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) at(left.next).previous = best.position;
    offer(left.previous);
    offer(best.position);
  }
}

void BpeModel::encode(std::string_view piece, std::vector<int32_t>& ids) const {
  if (options_.ignore_merges) {
    std::string spelled;
    if (options_.byte_level) {
      for (const char c : piece) spelled += alphabet_char(static_cast<uint8_t>(c));
    }
    if (const auto id = id_of(options_.byte_level ? std::string_view(spelled) : piece)) {
      ids.push_back(*id);
      return;
    }
  }
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  to_symbols(piece, symbols);
  if (!merges_.empty()) merge_all(symbols);
  for (const Symbol& symbol : symbols) {
    if (symbol.id >= 0) ids.push_back(symbol.id);
  }
}

}  // namespace llmctl
