// Which tokens of a cache are for training and which for validation. A document's side depends on
// its own text alone; with too few documents the tail of the stream is held out instead. Pure, so
// every start of a job agrees. Immutable; any thread. Sizes are in tokens.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "trainer/data/cache/token_cache.h"

namespace llmctl {

// Documents of one side, joined: runs of neighbours in the cache are one segment.
class TokenStream {
 public:
  void add(int64_t cache_begin, int64_t cache_end);  // in the order of the cache
  int64_t tokens() const { return tokens_; }
  int64_t sequences(int64_t length) const;  // each needs one token more: its last label
  // Requires first + ids.size() <= tokens().
  Status read(const TokenCache& cache, int64_t first, std::span<int32_t> ids) const;

 private:
  struct Segment {
    int64_t stream_begin, cache_begin;
  };
  std::vector<Segment> segments_;
  int64_t tokens_ = 0, last_end_ = -1;
};

struct DataSplit {
  TokenStream train, validation;
};

// `size` is the job's val_set_size: a share below 1, else a number of documents.
DataSplit split_tokens(const TokenCache& cache, double size, int64_t sequence_len);

// By document, whether it is held out; never all of them. For packing, which keeps documents whole.
std::vector<bool> held_out_documents(const TokenCache& cache, double size);
// What `held_out` means for the streams.
DataSplit split_documents(const TokenCache& cache, const std::vector<bool>& held_out);

}  // namespace llmctl
