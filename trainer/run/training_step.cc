#include "trainer/run/training_step.h"

#include <algorithm>
#include <cmath>

#include "trainer/run/saving/signals.h"
#include "trainer/run/schedule.h"

namespace llmctl {
namespace {

// The loss is the mean over the `tokens` of all passes and ranks that count, so each pass is scaled
// by the same number. Returns the sum of this rank's losses.
Result<double> accumulate_gradients(PreparedRun& run, int64_t tokens, PhaseClock& phases) {
  at::Tensor loss_sum = at::zeros({}, at::device(run.device).dtype(at::kDouble));
  const double scale = run.state.loss_scale.value / static_cast<double>(tokens);
  for (int64_t pass = 0; pass < run.feed->passes(); ++pass) {
    phases.enter(TrainPhase::data);
    const MicroBatch batch = TRY(run.feed->batch(run.state.step, pass));
    phases.enter(TrainPhase::compute);
    loss_sum += run.pass->forward_backward(batch, scale);
  }
  return loss_sum.item<double>();  // waits for the device
}

struct Agreement {
  double loss_sum = 0;    // over all ranks
  Millis elapsed_ms = 0;  // by rank 0's clock
  Wishes wishes;
};

// One small exchange per step.
Agreement agree(Collective& ranks, double loss_sum, Millis elapsed_ms) {
  at::Tensor words = at::zeros({4}, at::kDouble);
  double* word = words.mutable_data_ptr<double>();
  word[0] = loss_sum;
  word[1] = signals::leave_requested() ? 1 : 0;
  word[2] = signals::take_save_request() ? 1 : 0;
  word[3] = ranks.rank() == 0 ? static_cast<double>(elapsed_ms) : 0;
  ranks.sum(words);
  return {word[0], static_cast<Millis>(word[3]), {word[1] > 0, word[2] > 0}};
}

double elapsed_share(const JobSpec& spec, Millis elapsed_ms) {
  if (!spec.max_duration) return 0;
  return static_cast<double>(elapsed_ms) / static_cast<double>(*spec.max_duration);
}

void update_weights(PreparedRun& run, double loss_sum, StepResult& result) {
  const JobSpec& spec = run.config.spec;
  TrainState& state = run.state;
  Model& model = *run.model;
  result.gradient_norms =
      gradient_norms(model.layout(), model.gradients(), 1 / state.loss_scale.value);
  const double norm = result.gradient_norms.all;
  result.learning_rate =
      learning_rate(spec, {state.step, run.steps, elapsed_share(spec, state.elapsed_ms)});
  if (!std::isfinite(norm) || !std::isfinite(loss_sum)) {
    model.gradients().zero_();
    result.loss_scale_fell = state.loss_scale.step_was_not_finite();
    if (result.loss_scale_fell) return;
    ++state.nonfinite_steps;
    ++state.nonfinite_steps_in_row;
    return;
  }
  state.nonfinite_steps_in_row = 0;
  const double clip = clip_scale(norm, spec.max_grad_norm);
  run.optimizer->update(model.writable_weights(), model.gradients(),
                        optimizer_step(spec, result.learning_rate, clip / state.loss_scale.value));
  state.loss_scale.step_was_good();
}

// Nothing, unless the loss is a spike.
std::optional<double> expected_below(TrainState& state) {
  if (!std::isfinite(state.loss)) return std::nullopt;
  const double expected = state.trend.mean;
  if (!state.trend.add(state.loss)) return std::nullopt;
  return expected;
}

}  // namespace

Result<StepResult> training_step(PreparedRun& run, const Clock& clock, PhaseClock& phases) {
  const Millis begin = clock.boot_ms();
  TrainState& state = run.state;
  const int64_t tokens = run.feed->learned_tokens(state.step);
  const double own_loss_sum = TRY(accumulate_gradients(run, tokens, phases));
  phases.enter(TrainPhase::communication);
  run.ranks->sum(run.model->gradients());
  const Agreement agreed =
      agree(*run.ranks, own_loss_sum, state.elapsed_ms + clock.boot_ms() - begin);
  StepResult result;
  result.wishes = agreed.wishes;
  state.elapsed_ms = agreed.elapsed_ms;
  state.loss = agreed.loss_sum / static_cast<double>(tokens);
  phases.enter(TrainPhase::optimizer);
  update_weights(run, agreed.loss_sum, result);
  phases.leave();
  ++state.step;
  state.tokens += tokens;
  result.expected_loss = expected_below(state);
  result.seconds = static_cast<double>(std::max<Millis>(1, clock.boot_ms() - begin)) / 1000;
  return result;
}

}  // namespace llmctl
