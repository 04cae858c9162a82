#include "trainer/run/reports/curves.h"

#include <limits>

namespace llmctl {

Status Curves::open(const std::filesystem::path& job_dir,
                    const JobSpec& spec,
                    int64_t resumed_step) {
  if (spec.report_to.empty()) return ok_status();
  log_.emplace(clock_);
  return log_->open(job_dir, spec, resumed_step);
}

void Curves::draw(const Progressed& now, bool evaluated) {
  if (!log_) return;
  CurvePoint point = {.step = now.step, .loss = now.loss};
  point.eval_loss = evaluated ? now.eval_loss : std::numeric_limits<double>::quiet_NaN();
  point.learning_rate = now.learning_rate;
  point.gradient_norms = {now.grad_norm, now.group_grad_norms};
  point.seconds_per_step = now.seconds_per_step;
  point.loss_spikes = now.loss_spikes;
  const Status added = log_->add(point);
  if (added.ok()) return;
  report_.phase("no curves any more: " + added.error().message);
  log_.reset();
}

}  // namespace llmctl
