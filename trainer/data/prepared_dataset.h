// One dataset of a job, tokenized and cut into sequences: a stream of joined documents, or packed
// ones. Without weights all datasets of a job are one. Immutable; any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "trainer/data/packing.h"
#include "trainer/data/sequence_rows.h"
#include "trainer/data/split.h"

namespace llmctl {

class PreparedDataset {
 public:
  struct Side {  // training or validation
    TokenStream stream;
    std::optional<Packing> packing;
  };
  static Result<PreparedDataset> open(const JobSpec& spec,
                                      const HashedSources& sources,
                                      const Tokenizer& tokenizer,
                                      const Preparation& preparation);  // errors as Batches::open()

  const TokenCache& cache() const { return cache_; }
  const Side& train() const { return train_; }
  const Side& validation() const { return validation_; }
  int64_t sequences(const Side& side) const;
  int64_t learned_rows(const Side& side, int64_t sequence) const;
  Status fill(const Side& side, int64_t sequence, const SequenceRows& rows) const;

 private:
  PreparedDataset(TokenCache cache, int64_t sequence_len)
      : cache_(std::move(cache)), sequence_len_(sequence_len) {}
  Status fill_packed(std::span<const Piece> pieces, const SequenceRows& rows) const;

  TokenCache cache_;
  int64_t sequence_len_;
  Side train_, validation_;
};

}  // namespace llmctl
