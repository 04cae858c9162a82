// The training data of a job as sequences of token ids with their labels. Pretraining joins the
// documents with the end-of-text token and cuts the stream every sequence_len tokens; with packing
// (always for chats) a sequence holds whole documents, which do not see each other, and what is
// left is padded. Validation is kept apart. What (epoch, index) holds is a pure function of data
// and seed, so there is no iterator state: a resumed or re-sharded run asks for the next index. The
// tokens lie in memory-mapped caches shared by all jobs of a worker. Immutable after open(); the
// others may be called from any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/job/job_spec.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {

struct DataFacts {
  int64_t train_tokens = 0, validation_tokens = 0;
  double unigram_entropy = 0;  // of the training tokens; nats per token
  // Documents too long for a sequence, whose end is not learned, and those left out because what
  // would be learned of them lies there.
  int64_t truncated_documents = 0, dropped_documents = 0;
};

inline constexpr int32_t kMasked = -1;  // a label that is not learned

struct SequenceRows {               // of one sequence, to be filled
  std::span<int32_t> ids, labels;   // sequence_len each; labels: the next token, or kMasked
  std::vector<int32_t>& documents;  // the row of each one's first token; stays empty unless packed
};

class Batches {
 public:
  // Reads (or builds) the tokenizer and the token caches of spec.datasets. `phase` is called at
  // least every second or so while that takes long. invalid_argument: the data or the tokenizer is
  // at fault, with file and line; failed_precondition: too little text for one sequence;
  // resource_exhausted: cache_dir is full.
  static Result<Batches> open(const JobSpec& spec,
                              const std::filesystem::path& cache_dir,
                              int threads,  // that tokenize; 0: all
                              const PhaseFn& phase);
  ~Batches();
  Batches(Batches&&) noexcept;
  Batches& operator=(Batches&&) noexcept;

  const Tokenizer& tokenizer() const;
  int64_t documents() const;
  int64_t train_sequences() const;          // per epoch, >= 1
  int64_t validation_sequences() const;     // 0 when val_set_size is 0
  const std::string& content_hash() const;  // equal hash, equal sequences for equal seeds
  const DataFacts& facts() const;           // counted once per data, tokenizer and split

  // Requires epoch >= 0 and 0 <= index < train_sequences(); without weights each epoch visits
  // every sequence once. unavailable: the cache turned out to be damaged and is removed.
  Status fill(int64_t epoch, int64_t index, const SequenceRows& rows) const;
  Status fill_validation(int64_t index, const SequenceRows& rows) const;  // in data order
  // Rows of that sequence with a label.
  int64_t learned_rows(int64_t epoch, int64_t index) const;
  int64_t learned_validation_rows(int64_t index) const;

 private:
  struct Parts;
  explicit Batches(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace llmctl
