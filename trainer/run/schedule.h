// When a run ends and what the learning rate is at a step: pure functions of the job and the size
// of the data, so that a resumed run sees the same numbers.
#pragma once

#include "core/job/job_spec.h"

namespace llmctl {

// Optimizer steps until the first of max_steps, max_tokens and num_epochs is reached; 0 when only
// max_duration ends the run. `train_sequences`: per epoch.
int64_t planned_steps(const JobSpec& spec, int64_t train_sequences);

struct Position {
  int64_t step = 0;    // steps done before this one
  int64_t steps = 0;   // planned_steps
  double elapsed = 0;  // share of max_duration that has passed; read only when steps is 0
};
// Warmup from 0 (the first step has 1/warmup), then cosine or linear to min_lr_ratio, or constant;
// wsd (warmup, stable, decay; Hu et al., arXiv 2404.06395): constant, and linear over the last
// decay_ratio of the run.
double learning_rate(const JobSpec& spec, const Position& position);

}  // namespace llmctl
