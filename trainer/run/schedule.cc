#include "trainer/run/schedule.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace llmctl {

int64_t planned_steps(const JobSpec& spec, int64_t train_sequences) {
  constexpr int64_t kNone = std::numeric_limits<int64_t>::max();
  const int64_t batch = spec.global_batch_size, batch_tokens = batch * spec.sequence_len;
  int64_t steps = spec.max_steps.value_or(kNone);
  if (spec.max_tokens) {
    const int64_t rest = *spec.max_tokens % batch_tokens != 0 ? 1 : 0;
    steps = std::min(steps, *spec.max_tokens / batch_tokens + rest);
  }
  if (spec.num_epochs) {
    const double sequences = *spec.num_epochs * static_cast<double>(train_sequences);
    const double needed = std::ceil(sequences / static_cast<double>(batch));
    if (needed < 1e15) steps = std::min(steps, std::max<int64_t>(1, std::llround(needed)));
  }
  return steps == kNone ? 0 : steps;
}

static double share(double part, double whole) {
  return whole > 0 ? std::clamp(part / whole, 0.0, 1.0) : 1.0;
}

double learning_rate(const JobSpec& spec, const Position& p) {
  const auto step = static_cast<double>(p.step), steps = static_cast<double>(p.steps);
  // Progress through warmup and through what follows it, each 0..1.
  double warm = 1, done = 0;
  if (p.steps > 0) {
    const double warmup = spec.warmup_ratio ? std::ceil(*spec.warmup_ratio * steps)
                                            : static_cast<double>(spec.warmup_steps);
    warm = share(step + 1, warmup);
    done = share(step - warmup, steps - warmup);
  } else {
    const double ratio = spec.warmup_ratio.value_or(0);
    warm = spec.warmup_ratio ? share(p.elapsed, ratio)
                             : share(step + 1, static_cast<double>(spec.warmup_steps));
    done = share(p.elapsed - ratio, 1 - ratio);
  }
  if (warm < 1) return spec.learning_rate * warm;
  double left = 1;  // of the way from the final rate to the full one
  if (spec.lr_scheduler == "cosine") left = 0.5 * (1 + std::cos(std::numbers::pi * done));
  if (spec.lr_scheduler == "linear") left = 1 - done;
  if (spec.lr_scheduler == "wsd" && spec.decay_ratio > 0) {  // a share of the whole run
    const double all = p.steps > 0 ? step / steps : p.elapsed;
    left = share(1 - all, spec.decay_ratio);
  }
  return spec.learning_rate * (spec.min_lr_ratio + (1 - spec.min_lr_ratio) * left);
}

}  // namespace llmctl
