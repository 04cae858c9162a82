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
#include <string>

#include "core/base/result.h"
#include "core/job/job_spec.h"
#include "trainer/data/facts.h"
#include "trainer/data/sequence_rows.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {

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
