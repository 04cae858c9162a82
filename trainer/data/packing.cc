#include "trainer/data/packing.h"

#include <algorithm>
#include <bit>

#include "trainer/data/shuffle.h"

namespace llmctl {
namespace {

// The room left in each sequence, and the first one with enough of it: a tree of maxima.
class Rooms {
 public:
  Rooms(size_t sequences, int64_t rows)
      : leaves_(std::bit_ceil(std::max<size_t>(sequences, 1))),
        most_(2 * leaves_, static_cast<int32_t>(rows)) {}

  // Requires that one has room: there are as many sequences as pieces.
  size_t take(int32_t rows) {
    size_t at = 1;
    while (at < leaves_) at = most_[2 * at] >= rows ? 2 * at : 2 * at + 1;
    const size_t found = at - leaves_;
    most_[at] -= rows;
    for (at /= 2; at > 0; at /= 2) most_[at] = std::max(most_[2 * at], most_[2 * at + 1]);
    return found;
  }

 private:
  size_t leaves_;
  std::vector<int32_t> most_;
};

}  // namespace

Result<Packing> Packing::first_fit(const TokenCache& cache,
                                   const std::vector<bool>& held_out,
                                   bool take_held_out,
                                   const PackingOptions& options) {
  Packing packing;
  int64_t begin = 0;
  for (size_t i = 0; i < held_out.size(); ++i) {
    const auto end = static_cast<int64_t>(cache.document_ends()[i]);
    if (held_out[i] == take_held_out) {
      TRY(packing.add_document(cache, begin, end, options));
    }
    begin = end;
  }
  packing.lay_out(options);
  return packing;
}

Status Packing::add_document(const TokenCache& cache,
                             int64_t begin,
                             int64_t end,
                             const PackingOptions& options) {
  const int64_t rows = end - begin - 1, most = options.sequence_len;
  if (rows < 1) return ok_status();  // one token predicts nothing
  if (!options.cut) {
    truncated_ += rows > most;
    const int64_t dropped = dropped_;
    TRY(add_piece(cache, begin, std::min(rows, most), rows <= most));
    return dropped_ > dropped ? note_dropped(cache, begin, rows) : ok_status();
  }
  // Each piece starts with the token that the one before it ended on, so that every token is
  // learned once.
  for (int64_t at = 0; at < rows; at += most) {
    TRY(add_piece(cache, begin + at, std::min(most, rows - at), true));
  }
  return ok_status();
}

Status Packing::add_piece(const TokenCache& cache, int64_t begin, int64_t rows, bool whole) {
  std::vector<uint8_t> learned(static_cast<size_t>(rows));
  TRY(cache.read_learned(begin + 1, learned));
  const auto count = std::count(learned.begin(), learned.end(), 1);
  if (count == 0) {
    dropped_ += !whole;
    return ok_status();
  }
  pieces_.push_back({begin, static_cast<int32_t>(rows), static_cast<int32_t>(count)});
  return ok_status();
}

Status Packing::note_dropped(const TokenCache& cache, int64_t begin, int64_t rows) {
  std::vector<uint8_t> learned(static_cast<size_t>(rows));
  TRY(cache.read_learned(begin + 1, learned));
  const int64_t needed = std::find(learned.begin(), learned.end(), 1) - learned.begin() + 1;
  shortest_kept_ = shortest_kept_ == 0 ? needed : std::min(shortest_kept_, needed);
  return ok_status();
}

void Packing::lay_out(const PackingOptions& options) {
  const auto count = static_cast<int64_t>(pieces_.size());
  std::vector<std::pair<size_t, Piece>> placed;  // with its sequence
  placed.reserve(pieces_.size());
  Rooms rooms(pieces_.size(), options.sequence_len);
  for (int64_t i = 0; i < count; ++i) {
    const Piece& piece = pieces_[static_cast<size_t>(shuffled(i, count, options.key))];
    const auto rows = options.share ? piece.rows : static_cast<int32_t>(options.sequence_len);
    placed.emplace_back(rooms.take(rows), piece);
  }
  std::stable_sort(placed.begin(), placed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  pieces_.clear();
  for (size_t i = 0; i < placed.size(); ++i) {
    pieces_.push_back(placed[i].second);
    if (i + 1 == placed.size() || placed[i + 1].first != placed[i].first) {
      ends_.push_back(pieces_.size());
    }
  }
}

std::span<const Piece> Packing::pieces(int64_t sequence) const {
  const auto at = static_cast<size_t>(sequence);
  const size_t begin = at == 0 ? 0 : ends_[at - 1];
  return std::span(pieces_).subspan(begin, ends_[at] - begin);
}

}  // namespace llmctl
