#include "trainer/data/split.h"

#include <algorithm>
#include <cmath>

#include "trainer/data/shuffle.h"

namespace llmctl {
namespace {

// Fewer expected validation documents than this say little: the tail of the stream is used.
constexpr double kFewDocuments = 8;
constexpr double kTailShare = 0.1;  // of the stream, when a number of documents was asked for

// Copies of a document are on one side, and added documents move none of the others.
std::vector<bool> below(const TokenCache& cache, uint64_t limit) {
  std::vector<bool> held_out;
  for (const uint64_t hash : cache.document_hashes()) held_out.push_back(mix(hash, 0) < limit);
  return held_out;
}

std::vector<bool> share_of_documents(const TokenCache& cache, double share) {
  return below(cache, static_cast<uint64_t>(share * 18446744073709549568.0));
}

// Requires count < documents.
std::vector<bool> number_of_documents(const TokenCache& cache, double count) {
  std::vector<uint64_t> order;
  for (const uint64_t hash : cache.document_hashes()) order.push_back(mix(hash, 0));
  const auto nth = order.begin() + static_cast<ptrdiff_t>(count);
  std::nth_element(order.begin(), nth, order.end());
  return below(cache, *nth);
}

DataSplit split_tail(const TokenCache& cache, double share, int64_t sequence_len) {
  const auto wanted = static_cast<int64_t>(static_cast<double>(cache.tokens()) * share);
  const int64_t tail = share > 0 ? std::max(wanted, sequence_len + 1) : 0;
  const int64_t cut = std::max<int64_t>(cache.tokens() - tail, 0);
  DataSplit split;
  split.train.add(0, cut);
  if (cut < cache.tokens()) split.validation.add(cut, cache.tokens());
  return split;
}

}  // namespace

void TokenStream::add(int64_t cache_begin, int64_t cache_end) {
  if (segments_.empty() || last_end_ != cache_begin) segments_.push_back({tokens_, cache_begin});
  tokens_ += cache_end - cache_begin;
  last_end_ = cache_end;
}

int64_t TokenStream::sequences(int64_t length) const {
  return std::max<int64_t>((tokens_ - 1) / length, 0);
}

Status TokenStream::read(const TokenCache& cache, int64_t first, std::span<int32_t> ids) const {
  auto segment = std::upper_bound(
      segments_.begin(), segments_.end(), first,
      [](int64_t position, const Segment& s) { return position < s.stream_begin; });
  for (--segment; !ids.empty(); ++segment) {
    const bool last = segment + 1 == segments_.end();
    const int64_t end = last ? tokens_ : (segment + 1)->stream_begin;
    const auto n = std::min<size_t>(ids.size(), static_cast<size_t>(end - first));
    TRY(cache.read(segment->cache_begin + first - segment->stream_begin, ids.first(n)));
    ids = ids.subspan(n);
    first += static_cast<int64_t>(n);
  }
  return ok_status();
}

DataSplit split_documents(const TokenCache& cache, const std::vector<bool>& held_out) {
  DataSplit split;
  int64_t begin = 0;
  for (size_t i = 0; i < held_out.size(); ++i) {
    const auto end = static_cast<int64_t>(cache.document_ends()[i]);
    (held_out[i] ? split.validation : split.train).add(begin, end);
    begin = end;
  }
  return split;
}

std::vector<bool> held_out_documents(const TokenCache& cache, double size) {
  const auto documents = static_cast<double>(cache.document_ends().size());
  if (size <= 0 || documents < 2) return std::vector<bool>(cache.document_ends().size());
  if (size < 1 && documents * size >= kFewDocuments) return share_of_documents(cache, size);
  const double wanted = size < 1 ? std::ceil(documents * size) : size;
  return number_of_documents(cache, std::min(wanted, documents - 1));
}

DataSplit split_tokens(const TokenCache& cache, double size, int64_t sequence_len) {
  const auto documents = static_cast<double>(cache.document_ends().size());
  const bool enough = size < 1 ? documents * size >= kFewDocuments : size < documents;
  if (size > 0 && enough) {
    DataSplit split = split_documents(
        cache, size < 1 ? share_of_documents(cache, size) : number_of_documents(cache, size));
    if (split.train.sequences(sequence_len) > 0 && split.validation.sequences(sequence_len) > 0) {
      return split;
    }
  }
  return split_tail(cache, size < 1 ? size : kTailShare, sequence_len);
}

}  // namespace llmctl
