// Which sequence of which dataset comes at (epoch, index): without weights all sequences of one
// dataset, shuffled anew in each epoch; with weights every dataset has its share of an epoch's
// places, spread evenly by the same shuffle, and goes through its own sequences in rounds that need
// not end with the epoch. A pure function of (seed, epoch, index); stable for ever: checkpoints
// rely on the order. Immutable; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace llmctl {

class Mixture {
 public:
  struct Draw {
    size_t dataset;
    int64_t sequence;  // of that dataset
  };
  // Without weights there is one dataset. Requires sequences > 0, weights > 0.
  Mixture(std::vector<int64_t> sequences, const std::vector<double>& weights, int64_t seed);

  int64_t per_epoch() const { return per_epoch_; }  // all sequences of all datasets
  Draw draw(int64_t epoch, int64_t index) const;    // requires 0 <= index < per_epoch()
  const std::vector<int64_t>& shares() const { return shares_; }  // places of an epoch

 private:
  std::vector<int64_t> sequences_, shares_;
  bool weighted_;
  uint64_t seed_;
  int64_t per_epoch_ = 0;
};

}  // namespace llmctl
