#include "trainer/batches.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "trainer/batches_order.h"
#include "trainer/content_hash.h"
#include "trainer/dataset.h"
#include "trainer/token_cache.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace {

constexpr int kFeistelRounds = 8;
// Fewer expected validation documents than this say little: the tail of the stream is used.
constexpr double kFewDocuments = 8;
constexpr double kTailShare = 0.1;  // of the stream, when a number of documents was asked for

uint64_t mix(uint64_t value, uint64_t key) {  // the finalizer of SplitMix64
  value += key + 0x9E3779B97F4A7C15ULL;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31);
}

// Documents of one side, as one stream: runs of neighbours in the cache are one segment.
class Stream {
 public:
  void add(int64_t cache_begin, int64_t cache_end) {
    if (segments_.empty() || last_end_ != cache_begin) segments_.push_back({tokens_, cache_begin});
    tokens_ += cache_end - cache_begin;
    last_end_ = cache_end;
  }
  int64_t sequences(int64_t length) const { return std::max<int64_t>((tokens_ - 1) / length, 0); }
  int64_t tokens() const { return tokens_; }

  void read(const TokenCache& cache, int64_t first, std::span<int32_t> ids) const {
    auto segment = std::upper_bound(
        segments_.begin(), segments_.end(), first,
        [](int64_t position, const Segment& s) { return position < s.stream_begin; });
    for (--segment; !ids.empty(); ++segment) {
      const bool last = segment + 1 == segments_.end();
      const int64_t end = last ? tokens_ : (segment + 1)->stream_begin;
      const auto n = std::min<size_t>(ids.size(), static_cast<size_t>(end - first));
      cache.read(segment->cache_begin + first - segment->stream_begin, ids.first(n));
      ids = ids.subspan(n);
      first += static_cast<int64_t>(n);
    }
  }

 private:
  struct Segment {
    int64_t stream_begin, cache_begin;
  };
  std::vector<Segment> segments_;
  int64_t tokens_ = 0, last_end_ = -1;
};

struct Split {
  Stream train, validation;
};

// A document's side depends on its own text alone, so added documents move none of the others, and
// copies of a document are on one side.
Split split_by_document(const TokenCache& cache, double size) {
  const auto hashes = cache.document_hashes();
  uint64_t limit = 0;  // validation: mixed hash below this
  if (size < 1) {
    limit = static_cast<uint64_t>(size * 18446744073709549568.0);
  } else {
    std::vector<uint64_t> order;
    order.reserve(hashes.size());
    for (const uint64_t hash : hashes) order.push_back(mix(hash, 0));
    const auto nth = order.begin() + static_cast<ptrdiff_t>(size);
    std::nth_element(order.begin(), nth, order.end());
    limit = *nth;
  }
  Split split;
  int64_t begin = 0;
  for (size_t i = 0; i < hashes.size(); ++i) {
    const auto end = static_cast<int64_t>(cache.document_ends()[i]);
    (mix(hashes[i], 0) < limit ? split.validation : split.train).add(begin, end);
    begin = end;
  }
  return split;
}

Split split_tail(const TokenCache& cache, double share, int64_t sequence_len) {
  const auto wanted = static_cast<int64_t>(static_cast<double>(cache.tokens()) * share);
  const int64_t tail = share > 0 ? std::max(wanted, sequence_len + 1) : 0;
  const int64_t cut = std::max<int64_t>(cache.tokens() - tail, 0);
  Split split;
  split.train.add(0, cut);
  if (cut < cache.tokens()) split.validation.add(cut, cache.tokens());
  return split;
}

Split split_tokens(const TokenCache& cache, double size, int64_t sequence_len) {
  const auto documents = static_cast<double>(cache.document_ends().size());
  const bool enough = size < 1 ? documents * size >= kFewDocuments : size < documents;
  if (size > 0 && enough) {
    Split split = split_by_document(cache, size);
    if (split.train.sequences(sequence_len) > 0 && split.validation.sequences(sequence_len) > 0) {
      return split;
    }
  }
  return split_tail(cache, size < 1 ? size : kTailShare, sequence_len);
}

Result<Tokenizer> trained_tokenizer(const std::vector<SourceFile>& sources,
                                    const std::string& sources_hash,
                                    int64_t vocab_size,
                                    const fs::path& cache_dir,
                                    const PhaseFn& phase) {
  const std::string key = content_hash(sources_hash + "bpe" + std::to_string(vocab_size));
  const fs::path directory = cache_dir / ("tokenizer-" + key);
  const fs::path file = directory / "tokenizer.json";
  std::error_code failed;
  fs::create_directories(directory, failed);
  auto ready = Tokenizer::load(file);
  if (ready.ok()) return ready;
  const auto lock = TRY(BuildLock::acquire(file, phase));
  ready = Tokenizer::load(file);
  if (ready.ok()) return ready;
  BpeTrainer trainer;
  for (const SourceFile& source : sources) {
    if (phase) phase("count words of " + source.path.filename().string());
    TRY(for_each_document(source, [&](std::string_view text) { return trainer.add(text); }));
  }
  const auto tokenizer = TRY(trainer.train(vocab_size, phase));
  TRY(tokenizer.save(file));
  return Tokenizer::load(file);
}

}  // namespace

int64_t shuffled(int64_t index, int64_t count, uint64_t key) {
  CHECK(index >= 0 && index < count);
  const auto bits = static_cast<int>(std::bit_width(static_cast<uint64_t>(count - 1)));
  const int half_bits = (bits + 1) / 2;
  const uint64_t mask = (uint64_t{1} << half_bits) - 1;
  auto value = static_cast<uint64_t>(index);
  do {
    uint64_t left = value >> half_bits, right = value & mask;
    for (uint64_t round = 0; round < kFeistelRounds; ++round) {
      const uint64_t next = left ^ (mix(right, mix(round, key)) & mask);
      left = right;
      right = next;
    }
    value = left << half_bits | right;
  } while (value >= static_cast<uint64_t>(count));
  return static_cast<int64_t>(value);
}

struct Batches::Parts {
  Tokenizer tokenizer;
  TokenCache cache;
  Split split;
  int64_t sequence_len, seed;
  std::string content_hash;
};

Batches::Batches(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Batches::~Batches() = default;
Batches::Batches(Batches&&) noexcept = default;
Batches& Batches::operator=(Batches&&) noexcept = default;

Result<Batches> Batches::open(const JobSpec& spec,
                              const fs::path& cache_dir,
                              const PhaseFn& phase) {
  const auto sources = TRY(list_sources(spec.datasets));
  const auto hash = TRY(hash_sources(sources, phase));
  auto tokenizer =
      spec.tokenizer.kind == TokenizerSpec::Kind::bytes ? Tokenizer::bytes()
      : spec.tokenizer.kind == TokenizerSpec::Kind::file
          ? TRY(Tokenizer::load(spec.tokenizer.path))
          : TRY(trained_tokenizer(sources, hash, spec.tokenizer.vocab_size, cache_dir, phase));
  auto cache = TRY(TokenCache::open_or_build(sources, hash, tokenizer, cache_dir, phase));
  auto split = split_tokens(cache, spec.val_set_size, spec.sequence_len);
  if (split.train.sequences(spec.sequence_len) == 0) {
    return Error{Code::failed_precondition,
                 "datasets: " + std::to_string(cache.tokens()) +
                     " tokens, too few for one training sequence of " +
                     std::to_string(spec.sequence_len) + " and validation beside it",
                 "add text, or lower sequence_len or val_set_size"};
  }
  std::string content = llmctl::content_hash(hash + tokenizer.fingerprint());
  return Batches(
      std::make_unique<Parts>(Parts{std::move(tokenizer), std::move(cache), std::move(split),
                                    spec.sequence_len, spec.seed, std::move(content)}));
}

const Tokenizer& Batches::tokenizer() const {
  return parts_->tokenizer;
}
int64_t Batches::documents() const {
  return static_cast<int64_t>(parts_->cache.document_ends().size());
}
int64_t Batches::train_sequences() const {
  return parts_->split.train.sequences(parts_->sequence_len);
}
int64_t Batches::validation_sequences() const {
  return parts_->split.validation.sequences(parts_->sequence_len);
}
const std::string& Batches::content_hash() const {
  return parts_->content_hash;
}

void Batches::fill(int64_t epoch, int64_t index, std::span<int32_t> ids) const {
  CHECK(epoch >= 0 && static_cast<int64_t>(ids.size()) == parts_->sequence_len + 1);
  const uint64_t key =
      mix(static_cast<uint64_t>(epoch), mix(static_cast<uint64_t>(parts_->seed), 1));
  const int64_t sequence = shuffled(index, train_sequences(), key);
  parts_->split.train.read(parts_->cache, sequence * parts_->sequence_len, ids);
}

void Batches::fill_validation(int64_t index, std::span<int32_t> ids) const {
  CHECK(index >= 0 && index < validation_sequences());
  CHECK(static_cast<int64_t>(ids.size()) == parts_->sequence_len + 1);
  parts_->split.validation.read(parts_->cache, index * parts_->sequence_len, ids);
}

}  // namespace llmctl
