// The training data of a job as fixed-length sequences of token ids. Documents are joined with the
// end-of-text token and the stream is cut every sequence_len tokens; validation is kept apart. What
// (epoch, index) holds is a pure function of the data and the seed, so there is no iterator state:
// a resumed or re-sharded run asks for the next index. The tokens lie in a memory-mapped cache
// shared by all jobs of a worker. Immutable after open(); fill() may be called from any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "core/job_spec.h"
#include "core/result.h"
#include "trainer/tokenizer.h"

namespace llmctl {

struct DataFacts {
  int64_t train_tokens = 0, validation_tokens = 0;
  double unigram_entropy = 0;  // of the training tokens; nats per token
};

class Batches {
 public:
  // Reads (or builds) the tokenizer and the token cache of spec.datasets. `phase` is called at
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
  const std::string& content_hash() const;  // of tokenizer and data: equal hash, equal sequences
  const DataFacts& facts() const;           // counted once per data, tokenizer and split

  // ids.size() == sequence_len + 1: inputs are ids[0..n), labels ids[1..n+1).
  // Requires epoch >= 0 and 0 <= index < train_sequences(); each epoch visits every sequence once.
  void fill(int64_t epoch, int64_t index, std::span<int32_t> ids) const;
  void fill_validation(int64_t index, std::span<int32_t> ids) const;  // in data order

 private:
  struct Parts;
  explicit Batches(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace llmctl
