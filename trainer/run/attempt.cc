#include "trainer/run/attempt.h"

#include "trainer/run/evaluation.h"
#include "trainer/run/prepare.h"
#include "trainer/run/progress.h"
#include "trainer/run/reports/curves.h"
#include "trainer/run/sample.h"
#include "trainer/run/saving/lease.h"
#include "trainer/run/saving/saver.h"
#include "trainer/run/saving/signals.h"
#include "trainer/run/training_step.h"

namespace llmctl {
namespace {

class Attempt {
 public:
  Attempt(PreparedRun& run, const Lease& lease, const Clock& clock, Saver& saver, Reporter& report)
      : run_(run),
        lease_(lease),
        clock_(clock),
        saver_(saver),
        report_(report),
        progress_(run, phases_, report),
        curves_(clock, report) {}

  Status begin() {
    if (run_.first_rank()) TRY(curves_.open(run_.config.job_dir, spec_, state_.step));
    progress_.tell_up();
    return ok_status();
  }

  Result<Ending> train() {
    while (!finished()) {
      if (!lease_.wait(signals::leave_requested)) return Ending{Outcome::left, "lease has passed"};
      const Wishes wishes = TRY(step());
      if (state_.nonfinite_steps_in_row >= spec_.nonfinite_limit) return not_a_number();
      const bool evaluates = spec_.eval_steps > 0 && state_.step % spec_.eval_steps == 0;
      if (evaluates) TRY(evaluate());
      const bool best = evaluates && spec_.save_best && state_.best_step == state_.step;
      TRY(saver_.collect(/*wait=*/false));
      if (wishes.leave || wishes.save || best || saver_.due(state_.step)) TRY(save(wishes.leave));
      if (wishes.leave && !finished()) return Ending{Outcome::left, ""};
    }
    if (evaluated_step_ != state_.step) TRY(evaluate());
    TRY(saver_.collect(/*wait=*/true));
    if (saver_.newest_step() != state_.step) TRY(save(/*must_succeed=*/true));
    if (run_.first_rank()) tell_sample(run_, report_);
    progress_.tell("train");  // with the time of the last evaluation and checkpoint
    return Ending{Outcome::done, ""};
  }

 private:
  bool finished() const {
    const bool out_of_time = spec_.max_duration && state_.elapsed_ms >= *spec_.max_duration;
    const bool no_better = spec_.early_stopping_patience > 0 &&
                           state_.evaluations_since_best >= spec_.early_stopping_patience;
    return (run_.steps > 0 && state_.step >= run_.steps) || out_of_time || no_better;
  }

  Ending not_a_number() const {
    return {Outcome::nonfinite, std::to_string(state_.nonfinite_steps_in_row) +
                                    " steps in a row with a loss or gradient that is not finite, "
                                    "the last one step " +
                                    std::to_string(state_.step) + "; lower learning_rate?"};
  }

  Result<Wishes> step() {
    const StepResult result = TRY(training_step(run_, clock_, phases_));
    progress_.tell_step(result);
    if (curves_.due()) curves_.draw(progress_.snapshot("train"), /*evaluated=*/false);
    return result.wishes;
  }

  Status evaluate() {
    if (run_.feed->validation_sequences() == 0) return ok_status();
    progress_.tell("eval");
    phases_.enter(TrainPhase::eval);
    TRY(measure_eval_loss(run_));
    phases_.leave();
    evaluated_step_ = state_.step;
    progress_.tell_evaluation();
    curves_.draw(progress_.snapshot("eval"), /*evaluated=*/true);
    return ok_status();
  }

  Status save(bool must_succeed) {
    if (!run_.first_rank()) return ok_status();
    progress_.tell("checkpoint");
    report_.flush();
    phases_.enter(TrainPhase::checkpoint);
    Saver::Request request;
    request.about = checkpoint_facts(state_);
    request.best_step = spec_.save_best ? state_.best_step : -1;
    request.must_succeed = must_succeed;
    request.in_background = run_.checkpoint_copy.defined() && !must_succeed;
    request.content = [&] {
      return live_content(saver_.epoch(), state_, run_.identity, *run_.model, *run_.optimizer,
                          request.in_background ? run_.checkpoint_copy : at::Tensor());
    };
    TRY(saver_.save(request));
    phases_.leave();
    return ok_status();
  }

  PreparedRun& run_;
  const JobSpec& spec_ = run_.config.spec;
  const TrainState& state_ = run_.state;
  const Lease& lease_;
  const Clock& clock_;
  Saver& saver_;
  Reporter& report_;
  PhaseClock phases_;
  Progress progress_;
  Curves curves_;
  int64_t evaluated_step_ = -1;  // the last one with an evaluation in this attempt
};

Result<Ending> attempt(const RunConfig& config,
                       at::Device device,
                       const Lease& lease,
                       const Clock& clock,
                       Saver& saver,
                       Reporter& report) {
  signals::preparing(true);
  PreparedRun run = TRY(prepare(config, device, saver, report));
  Attempt attempt(run, lease, clock, saver, report);
  TRY(attempt.begin());
  signals::preparing(false);
  Result<Ending> ending = attempt.train();
  // However it ends: a checkpoint that was begun may still be committed, and is told of.
  const Status written = saver.collect(/*wait=*/true);
  if (!written.ok()) report.phase("no checkpoint: " + written.error().message);
  return ending;
}

}  // namespace

Ending train(const RunConfig& config,
             at::Device device,
             const std::filesystem::path& run_directory,
             const Clock& clock,
             Reporter& report) {
  const Lease lease(run_directory, clock);
  Saver saver(config, lease, report);
  Result<Ending> ending = attempt(config, device, lease, clock, saver, report);
  if (ending.ok()) return *ending;
  return ended_by(ending.error());
}

}  // namespace llmctl
