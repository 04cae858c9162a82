#include "trainer/run/evaluation.h"

#include <cmath>

#include "trainer/optim/averaged.h"

namespace llmctl {

Status measure_eval_loss(PreparedRun& run) {
  run.pass->release();
  const UseAverage average(*run.model, *run.optimizer);
  double loss_sum = 0;
  for (int64_t pass = 0; pass < run.feed->validation_passes(); ++pass) {
    const MicroBatch batch = TRY(run.feed->validation_batch(pass));
    loss_sum += run.model->forward(batch).item<double>();
  }
  at::Tensor total = at::full({1}, loss_sum, at::kDouble);
  run.ranks->sum(total);
  TrainState& state = run.state;
  state.eval_loss = total.item<double>() / static_cast<double>(run.feed->validation_tokens());
  const bool best = std::isnan(state.best_eval_loss) || state.eval_loss < state.best_eval_loss;
  if (best) {
    state.best_eval_loss = state.eval_loss;
    state.best_step = state.step;
  }
  state.evaluations_since_best = best ? 0 : state.evaluations_since_best + 1;
  return ok_status();
}

}  // namespace llmctl
