#include "scheduler/loop/metric_points.h"

#include <cmath>

namespace llmctl {

// Seconds of a step for what every step does; of one evaluation for what comes now and then.
static void add_phase_points(const Event& event,
                             const Progressed& progress,
                             const Progressed& before,
                             std::vector<MetricPoint>& points) {
  const auto steps = static_cast<double>(progress.step - before.step);
  for (const TrainPhase phase : {TrainPhase::data, TrainPhase::compute, TrainPhase::communication,
                                 TrainPhase::optimizer, TrainPhase::eval}) {
    const auto i = static_cast<size_t>(phase);
    const double seconds = progress.phase_seconds[i] - before.phase_seconds[i];
    const bool in_every_step = phase != TrainPhase::eval;
    if (seconds <= 0 || steps < 0) continue;  // nothing new, or another attempt began
    if (in_every_step && steps == 0) continue;
    points.push_back(MetricPoint{event.job, std::string(to_string(phase)) + "_seconds",
                                 progress.step, event.unix_ms,
                                 in_every_step ? seconds / steps : seconds});
  }
}

std::vector<MetricPoint> metric_points(const Event& event, const CheckpointCommitted& made) {
  if (made.seconds <= 0) return {};
  return {MetricPoint{event.job, "checkpoint_seconds", made.step, event.unix_ms, made.seconds}};
}

std::vector<MetricPoint> metric_points(const Event& event,
                                       const Progressed& progress,
                                       const Progressed& before) {
  std::vector<MetricPoint> points;
  const auto add = [&](const char* name, double value, bool known) {
    if (!known || !std::isfinite(value)) return;
    points.push_back(MetricPoint{event.job, name, progress.step, event.unix_ms, value});
  };
  if (progress.step == 0) return points;  // preparing: nothing is measured yet
  add("loss", progress.loss, true);
  add("eval_loss", progress.eval_loss,
      progress.eval_loss != 0 && progress.eval_loss != before.eval_loss);
  add("learning_rate", progress.learning_rate, true);
  add("grad_norm", progress.grad_norm, true);
  add("tokens_per_second", progress.tokens_per_second, progress.tokens_per_second > 0);
  add("mfu", progress.mfu, progress.mfu > 0);
  add_phase_points(event, progress, before, points);
  return points;
}

}  // namespace llmctl
