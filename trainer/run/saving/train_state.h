// What a training run is between two steps, and its form in a checkpoint: weights under Hugging
// Face's names, the optimizer's state under "optimizer.<state>.<name>", and state.json. Saving and
// loading give back every bit, on whatever device; a checkpoint of another model, data or batch is
// refused.
#pragma once

#include <limits>

#include "core/job/job_spec.h"
#include "core/run/event.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/model/model.h"
#include "trainer/optim/optimizer.h"
#include "trainer/run/saving/loss_scale.h"
#include "trainer/run/saving/loss_trend.h"

namespace llmctl {

struct TrainState {
  int64_t step = 0;  // optimizer steps done, skipped ones included; decides the data position
  int64_t tokens = 0;
  int64_t nonfinite_steps = 0;         // skipped so far
  int64_t nonfinite_steps_in_row = 0;  // up to this step
  Millis elapsed_ms = 0;               // spent in steps, all attempts
  double loss = 0, eval_loss = 0;      // NaN: none yet
  double best_eval_loss = std::numeric_limits<double>::quiet_NaN();
  int64_t best_step = -1;  // at which it was
  int64_t evaluations_since_best = 0;
  LossTrend trend;
  LossScale loss_scale;
};

// What is told of a checkpoint of this state, as far as the state knows it.
CheckpointCommitted checkpoint_facts(const TrainState& state);

struct RunIdentity {  // what must be the same when a run is resumed
  JobSpec spec;
  std::string data_hash;  // Batches::content_hash()
};

// The content of a checkpoint as views of tensors in host memory.
struct LiveContent {
  CheckpointContent content;
  std::vector<at::Tensor> owned;  // what it views: the run's own tensors on a CPU, else copies
};
// To be written before the next step changes those tensors. With a `copy` everything is copied into
// that first, and training may go on; then it is to be written before the copy is used again.
LiveContent live_content(int64_t epoch,
                         const TrainState& state,
                         const RunIdentity& identity,
                         Model& model,
                         Optimizer& optimizer,
                         const at::Tensor& copy = {});
// Host memory for such a copy, as core's checkpoint_copy_bytes counts it.
at::Tensor allocate_copy(Model& model, Optimizer& optimizer);
// Fills model, optimizer and state. failed_precondition names what differs.
Result<TrainState> restore(const Checkpoint& checkpoint,
                           const RunIdentity& identity,
                           Model& model,
                           Optimizer& optimizer);

}  // namespace llmctl
