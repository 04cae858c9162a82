// LossTrend: where the loss of the next step is to be expected, and whether one is a spike: above
// the smoothed mean by more than kSpike smoothed deviations. A plain value that travels in
// checkpoints, so that a resumed run counts the same spikes.
#pragma once

#include <cmath>
#include <cstdint>

namespace llmctl {

struct LossTrend {
  static constexpr double kOld = 0.95;    // weight of the past in the smoothed numbers
  static constexpr double kSpike = 6;     // deviations; of a bell curve about one in a million
  static constexpr int64_t kLearns = 20;  // steps before anything is called a spike

  int64_t steps = 0;
  double mean = 0, deviation = 0;
  int64_t spikes = 0;

  double limit() const { return mean + kSpike * deviation; }

  // Returns whether this loss is a spike. A spike enters the smoothed numbers as if it were no
  // higher than the limit, so that it does not hide the next one. Requires: finite.
  bool add(double loss) {
    const bool spike = steps >= kLearns && loss > limit();
    const double taken = spike ? limit() : loss;
    const double old = steps == 0 ? 0 : kOld;
    deviation = steps == 0 ? 0 : old * deviation + (1 - old) * std::fabs(taken - mean);
    mean = old * mean + (1 - old) * taken;
    ++steps;
    spikes += spike ? 1 : 0;
    return spike;
  }
};

}  // namespace llmctl
