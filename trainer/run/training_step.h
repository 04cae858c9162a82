// One optimizer step of a run: forward and backward over this rank's micro-batches, gradients and
// loss summed over all ranks, one update. The gradient is the mean over all tokens of the global
// batch that count, whatever the number of ranks and the micro-batch. A step whose loss or gradient
// is not finite changes no weights. All ranks call it together.
#pragma once

#include <optional>

#include "trainer/optim/gradient_norm.h"
#include "trainer/run/prepare.h"
#include "trainer/run/reports/phase_clock.h"

namespace llmctl {

struct Wishes {  // of any rank, agreed upon by all
  bool leave = false, save = false;
};

struct StepResult {
  Wishes wishes;
  double learning_rate = 0;
  GradientNorms gradient_norms;         // before clipping
  double seconds = 0;                   // on this rank's clock
  bool loss_scale_fell = false;         // the step was skipped, the next has a smaller scale
  std::optional<double> expected_loss;  // of a spike: the loss that was to be expected
};

// Advances run.state, weights and optimizer. Errors are those of reading the data.
Result<StepResult> training_step(PreparedRun& run, const Clock& clock, PhaseClock& phases);

}  // namespace llmctl
