#include "trainer/tokenizer/unigram.h"

#include <algorithm>
#include <cmath>

#include "core/base/utf8.h"

namespace llmctl {
namespace {

constexpr double kUnknownPenalty = 10;
// Positions are 32 bits wide and each costs 16 bytes. Pre-tokenizers cut words.
constexpr size_t kPieceBytes = 64 << 20;

size_t character_bytes(std::string_view text) {
  return std::max<size_t>(utf8_length(text), 1);
}

}  // namespace

Status UnigramModel::add_token(std::string_view token, double score) {
  if (!std::isfinite(score)) return invalid(shown(token) + ": its score is not a number");
  const auto id = static_cast<int32_t>(scores_.size());
  TRY(vocabulary_.add_or_replace(token, id));
  unknown_score_ = scores_.empty() ? score : std::min(unknown_score_, score);
  scores_.push_back(score);
  int32_t node = 0;
  for (const char c : token) {
    const auto fresh = static_cast<int32_t>(token_of_.size());
    const int32_t next = edges_.insert(node, static_cast<uint8_t>(c), fresh);
    if (next == fresh) token_of_.push_back(-1);
    node = next;
  }
  if (node != 0) token_of_[static_cast<size_t>(node)] = id;
  return ok_status();
}

Status UnigramModel::finish() {
  unknown_score_ -= kUnknownPenalty;
  if (scores_.empty()) return invalid("vocab is empty");
  const bool known = !unk_ || (*unk_ >= 0 && *unk_ < static_cast<int64_t>(scores_.size()));
  if (!known) return invalid("unk_id " + std::to_string(*unk_) + " is not in the vocabulary");
  return ok_status();
}

// Offers all tokens that begin at `begin`, whose first character has `character` bytes.
void UnigramModel::extend(std::string_view piece,
                          size_t begin,
                          size_t character,
                          std::vector<Step>& best) const {
  const auto offer = [&](size_t end, double score, int32_t id) {
    Step& step = best[end];
    const double sum = score + best[begin].score;
    if (step.begin == kNowhere || sum > step.score) {
      step = {sum, id, static_cast<int32_t>(begin)};
    }
  };
  bool has_single = false;
  int32_t node = 0;
  for (size_t at = begin; at < piece.size(); ++at) {
    node = edges_.find(node, static_cast<uint8_t>(piece[at]));
    if (node == PairTable::kNone) break;
    const int32_t id = token_of_[static_cast<size_t>(node)];
    if (id < 0) continue;
    offer(at + 1, scores_[static_cast<size_t>(id)], id);
    has_single |= at + 1 - begin == character;
  }
  if (!has_single) {
    offer(begin + character, unknown_score_, static_cast<int32_t>(unk_.value_or(-1)));
  }
}

Status UnigramModel::encode(std::string_view piece, std::vector<int32_t>& ids) const {
  if (piece.size() > kPieceBytes) {
    return Error{Code::invalid_argument, "a piece of text of more than 64 MiB for a Unigram model",
                 "break the document into lines or shorter documents"};
  }
  std::vector<Step> best(piece.size() + 1);
  for (size_t at = 0; at < piece.size();) {
    const size_t bytes = character_bytes(piece.substr(at));
    extend(piece, at, bytes, best);
    at += bytes;
  }
  struct Found {
    size_t begin, end;
    int32_t id;
  };
  std::vector<Found> found;  // from the end; neighbouring unknowns as one
  for (size_t end = piece.size(); end > 0;) {
    const Step& step = best[end];
    const auto begin = static_cast<size_t>(step.begin);
    const bool unknown = step.id == unk_.value_or(-1);
    if (unknown && !unk_) {
      return Error{Code::invalid_argument,
                   "the tokenizer has no token for " + shown(piece.substr(begin, end - begin)) +
                       " and no unk_id",
                   ""};
    }
    const bool joins = unknown && !found.empty() && found.back().id == *unk_;
    if (joins) {
      found.back().begin = begin;
    } else {
      found.push_back({begin, end, step.id});
    }
    end = begin;
  }
  for (auto part = found.rbegin(); part != found.rend(); ++part) {
    const auto text = piece.substr(part->begin, part->end - part->begin);
    if (unk_ && part->id == *unk_) {
      add_unknown(text, ids);
    } else {
      ids.push_back(*vocabulary_.id_of(text));
    }
  }
  return ok_status();
}

void UnigramModel::add_unknown(std::string_view text, std::vector<int32_t>& ids) const {
  if (const auto id = vocabulary_.id_of(text)) {  // the unknown token itself, or joined to one
    ids.push_back(*id);
    return;
  }
  const size_t first = ids.size();
  for (const char c : text) {
    const auto id = byte_fallback_ ? vocabulary_.id_of_byte(static_cast<uint8_t>(c)) : std::nullopt;
    if (!id) {
      ids.resize(first);
      ids.push_back(static_cast<int32_t>(*unk_));
      return;
    }
    ids.push_back(*id);
  }
}

}  // namespace llmctl
