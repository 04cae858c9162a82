// The loss over the validation sequences, which the ranks share out, with the averaged weights
// where the optimizer makes them. All ranks call it together.
#pragma once

#include "trainer/run/prepare.h"

namespace llmctl {

// Into run.state, with whether it is the best so far. Requires: there are validation sequences.
Status measure_eval_loss(PreparedRun& run);

}  // namespace llmctl
