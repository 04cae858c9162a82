// Which sequences a rank computes in which pass of which step: a pure function of (step, pass),
// laid over Batches. Sequence j of global batch k is number k * global_batch_size + j of the job;
// rank r of N takes j = r, r + N, …, micro_batch_size of them per pass. Validation is shared out
// likewise.
#pragma once

#include "core/plan/plan.h"
#include "trainer/data/batches.h"
#include "trainer/model/model.h"

namespace llmctl {

class DataFeed {
 public:
  // Requires: `batches` outlives the feed.
  DataFeed(
      const Batches& batches, const JobSpec& spec, const Plan& plan, int64_t rank, int64_t ranks);
  // invalid_argument when plan, ranks and global batch disagree, or ids exceed the vocabulary.
  Status check() const;

  int64_t passes() const { return plan_.gradient_accumulation_steps; }
  Result<MicroBatch> batch(int64_t step, int64_t pass) const;
  // Labels that count, of all passes and ranks together: what a step's loss is the mean over.
  int64_t learned_tokens(int64_t step) const;

  int64_t validation_sequences() const;                     // of one evaluation, all ranks together
  int64_t validation_tokens() const;                        // labels that count in them
  int64_t validation_passes() const;                        // of this rank
  Result<MicroBatch> validation_batch(int64_t pass) const;  // the last one may be smaller

 private:
  struct Place {
    int64_t epoch, index;
  };
  Place place(int64_t step, int64_t j) const;  // of sequence j of a global batch

  const Batches& batches_;
  const JobSpec& spec_;
  Plan plan_;
  int64_t rank_, ranks_;
};

}  // namespace llmctl
