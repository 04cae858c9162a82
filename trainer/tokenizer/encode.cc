// Text through the stages of a tokenizer.json: raw added tokens, normalizer, normalized added
// tokens, pieces, merges.

#include "trainer/tokenizer/bpe/piece_cache.h"
#include "trainer/tokenizer/parts.h"

namespace llmctl {
namespace {

constexpr size_t kTextBytes = 1 << 30;  // positions inside BPE are 32 bits wide

class Stages {
 public:
  Stages(const Tokenizer::Parts& parts, PieceCache* cache, std::vector<int32_t>& ids)
      : parts_(parts), cache_(cache), ids_(ids), published_(parts.pretokenizer.only_published()) {}

  Status run(std::string_view text) {
    return parts_.raw_tokens.split(text, [&](std::string_view gap, int32_t id) -> Status {
      if (id < 0) return normalized(gap, gap.data() == text.data());
      ids_.push_back(id);
      return ok_status();
    });
  }

 private:
  Status normalized(std::string_view raw, bool first) {
    std::string changed;
    std::string_view text = raw;
    if (!parts_.normalizer.empty()) text = changed = TRY(normalize(parts_.normalizer, raw));
    return parts_.normalized_tokens.split(text, [&](std::string_view gap, int32_t id) -> Status {
      if (id < 0) return split(gap, first && gap.data() == text.data());
      ids_.push_back(id);
      return ok_status();
    });
  }

  Status split(std::string_view text, bool first) {
    if (published_ == nullptr || !PublishedPattern::can_split(text)) {
      return parts_.pretokenizer.split(text, first,
                                       [&](std::string_view piece) { return add_piece(piece); });
    }
    for (size_t at = 0; at < text.size();) {
      const size_t end = published_->piece_end(text, at);
      TRY(add_word(text.substr(at, end - at)));
      at = end;
    }
    return ok_status();
  }

  Status add_piece(std::string_view piece) {
    if (!parts_.model->words_are_apart()) return add_word(piece);
    size_t begin = 0;
    for (size_t at = piece.find(kWordStart); at != piece.npos;) {
      const bool run = at == 0 || piece.substr(0, at).ends_with(kWordStart);
      if (!run) {
        TRY(add_word(piece.substr(begin, at - begin)));
        begin = at;
      }
      at = piece.find(kWordStart, at + kWordStart.size());
    }
    return add_word(piece.substr(begin));
  }

  Status add_word(std::string_view word) {
    if (cache_ == nullptr || !PieceCache::can_hold(word)) return parts_.model->encode(word, ids_);
    const uint64_t hash = PieceCache::hash_of(word);
    PieceCache::Slot& slot = cache_->slot_of(hash);
    if (slot.holds(hash, word)) {
      ids_.insert(ids_.end(), slot.ids, slot.ids + slot.count);
      return ok_status();
    }
    const size_t first = ids_.size();
    TRY(parts_.model->encode(word, ids_));
    slot.keep(hash, word, std::span(ids_).subspan(first));
    return ok_status();
  }

  const Tokenizer::Parts& parts_;
  PieceCache* cache_;
  std::vector<int32_t>& ids_;
  const PublishedPattern* published_;
};

}  // namespace

Encoder::Encoder(Tokenizer tokenizer)
    : tokenizer_(std::move(tokenizer)), cache_(std::make_unique<PieceCache>()) {}
Encoder::~Encoder() = default;
Encoder::Encoder(Encoder&&) noexcept = default;

Status Encoder::append(std::string_view text, std::vector<int32_t>& ids) {
  if (text.size() > kTextBytes) {
    return Error{Code::invalid_argument, "text of more than 1 GiB in one piece", "split it"};
  }
  return Stages(*tokenizer_.parts_, cache_.get(), ids).run(text);
}

Result<std::vector<int32_t>> Tokenizer::encode_whole(std::string_view text) const {
  std::vector<int32_t> ids = TRY(encode(text));
  const auto lacking = missing_begin(ids);
  ids.insert(ids.begin(), lacking.begin(), lacking.end());
  return ids;
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text) const {
  if (text.size() > kTextBytes) {
    return Error{Code::invalid_argument, "text of more than 1 GiB in one piece", "split it"};
  }
  std::vector<int32_t> ids;
  TRY(Stages(*parts_, nullptr, ids).run(text));
  return ids;
}

}  // namespace llmctl
