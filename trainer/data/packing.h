// Whole documents laid into sequences, first fit, in an order shuffled by the seed: documents of
// every length meet in every batch, and a sequence is as full as the documents allow. Which
// sequence comes when is decided per epoch, by the mixture. A document of n tokens takes n - 1
// rows, one per label. Immutable; 16 bytes per piece. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "trainer/data/cache/token_cache.h"

namespace llmctl {

struct Piece {
  int64_t begin;         // its first token in the cache
  int32_t rows;          // at least 1; the labels are the tokens begin + 1 .. begin + rows
  int32_t learned_rows;  // at least 1
};

struct PackingOptions {
  int64_t sequence_len = 0;
  uint64_t key = 0;   // of the shuffle
  bool share = true;  // several documents per sequence
  bool cut = false;   // longer documents become several pieces; else they lose their end
};

class Packing {
 public:
  // The documents, by index, of one side of the split.
  static Result<Packing> first_fit(const TokenCache& cache,
                                   const std::vector<bool>& held_out,
                                   bool take_held_out,
                                   const PackingOptions& options);

  int64_t sequences() const { return static_cast<int64_t>(ends_.size()); }
  std::span<const Piece> pieces(int64_t sequence) const;
  int64_t truncated() const { return truncated_; }  // documents that lost their end
  // Those of the truncated ones that are left out: nothing in what is left of them is learned.
  int64_t dropped() const { return dropped_; }
  // The least sequence_len that would keep something to learn of one of those; 0: none were left.
  int64_t shortest_kept() const { return shortest_kept_; }

 private:
  Status add_document(const TokenCache& cache,
                      int64_t begin,
                      int64_t end,
                      const PackingOptions& options);
  Status add_piece(const TokenCache& cache, int64_t begin, int64_t rows, bool whole);
  void lay_out(const PackingOptions& options);

  std::vector<Piece> pieces_;   // by sequence
  std::vector<uint64_t> ends_;  // of each sequence, in pieces_
  Status note_dropped(const TokenCache& cache, int64_t begin, int64_t rows);
  int64_t truncated_ = 0, dropped_ = 0, shortest_kept_ = 0;
};

}  // namespace llmctl
