#include "trainer/run/progress.h"

#include <unistd.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "trainer/device/device_memory.h"

namespace llmctl {

Progress::Progress(const PreparedRun& run, const PhaseClock& phases, Reporter& report)
    : run_(run), phases_(phases), report_(report) {
  last_.gradient_norms.all = std::numeric_limits<double>::quiet_NaN();
}

void Progress::tell_up() {
  if (run_.first_rank()) {
    const DataFacts& facts = run_.batches->facts();
    report_.line({{"type", "data"},
                  {"train_tokens", facts.train_tokens},
                  {"validation_tokens", facts.validation_tokens},
                  {"unigram_entropy", facts.unigram_entropy},
                  {"truncated_documents", facts.truncated_documents},
                  {"dropped_documents", facts.dropped_documents}});
  }
  report_.line({{"type", "up"},
                {"pid", getpid()},
                {"parameters", run_.model->layout().parameters()},
                {"device", run_.config.device},
                {"cpus", run_.cpus}});
}

void Progress::tell_step(const StepResult& result) {
  last_ = result;
  const TrainState& state = run_.state;
  if (result.loss_scale_fell && run_.first_rank()) {
    report_.line({{"type", "loss_scale"},
                  {"step", state.step - 1},  // the one that was skipped, counted from 0
                  {"value", state.loss_scale.value}});
  }
  if (result.expected_loss && run_.first_rank()) {
    report_.line({{"type", "spike"},
                  {"step", state.step},
                  {"loss", state.loss},
                  {"expected", *result.expected_loss}});
  }
  constexpr double kOld = 0.8;  // weight of the past
  const bool first = ++steps_of_attempt_ == 1;
  seconds_per_step_ =
      first ? result.seconds : kOld * seconds_per_step_ + (1 - kOld) * result.seconds;
  if (steps_of_attempt_ == 2) tell_memory();
  tell("train");
}

void Progress::tell_memory() {
  nlohmann::json memory = to_json(device_memory::peak_by_cause());
  memory["type"] = "memory";
  memory["peak_bytes"] = device_memory::peak_bytes();
  report_.line(memory);
}

void Progress::tell_evaluation() {
  report_.flush();
  report_.line({{"type", "eval"}, {"step", run_.state.step}, {"loss", run_.state.eval_loss}});
}

void Progress::tell(const std::string& phase) {
  report_.step(snapshot(phase));
}

double Progress::tokens_per_second() const {
  const JobSpec& spec = run_.config.spec;
  if (seconds_per_step_ <= 0) return 0;
  return static_cast<double>(spec.global_batch_size * spec.sequence_len) / seconds_per_step_;
}

double Progress::flops_per_second() const {
  const JobSpec& spec = run_.config.spec;
  return tokens_per_second() * flops_per_token(spec.model.config, spec.sequence_len);
}

Progressed Progress::snapshot(const std::string& phase) const {
  const TrainState& state = run_.state;
  Progressed progressed;
  progressed.step = state.step;
  progressed.steps = run_.steps;
  progressed.tokens = state.tokens;
  progressed.loss = state.loss;
  progressed.eval_loss = state.eval_loss;
  progressed.learning_rate = last_.learning_rate;
  progressed.grad_norm = last_.gradient_norms.all;
  progressed.group_grad_norms = last_.gradient_norms.of_group;
  progressed.loss_spikes = state.trend.spikes;
  progressed.seconds_per_step = seconds_per_step_;
  progressed.tokens_per_second = tokens_per_second();
  progressed.peak_bytes = device_memory::peak_bytes();
  progressed.nonfinite_steps = state.nonfinite_steps;
  progressed.phase = phase;
  if (run_.device_flops > 0) progressed.mfu = flops_per_second() / run_.device_flops;
  progressed.phase_seconds = phases_.seconds();
  return progressed;
}

}  // namespace llmctl
