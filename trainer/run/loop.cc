#include "trainer/run/loop.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/plan/memory_model.h"
#include "core/training/offload.h"
#include "trainer/data/batches.h"
#include "trainer/device/collective.h"
#include "trainer/device/cpu_pins.h"
#include "trainer/device/device_memory.h"
#include "trainer/inference/generate.h"
#include "trainer/model/load_model.h"
#include "trainer/model/pass_graph.h"
#include "trainer/optim/averaged.h"
#include "trainer/optim/gradient_norm.h"
#include "trainer/optim/optimizer.h"
#include "trainer/run/data_feed.h"
#include "trainer/run/device_flops.h"
#include "trainer/run/phase_clock.h"
#include "trainer/run/saver.h"
#include "trainer/run/scalar_log.h"
#include "trainer/run/schedule.h"
#include "trainer/run/signals.h"
#include "trainer/run/train_state.h"
#include "trainer/stored/stored_model.h"

namespace llmctl {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class TrainingRun {
 public:
  TrainingRun(const RunConfig& config,
              at::Device device,
              const std::filesystem::path& run_directory,
              const Clock& clock,
              Reporter& report)
      : config_(config),
        spec_(config.spec),
        device_(device),
        clock_(clock),
        lease_(run_directory, clock),
        report_(report),
        saver_(config, lease_, report) {}

  Result<Ending> run() {
    Result<Ending> ending = attempt();
    // However it ends: a checkpoint that was begun may still be committed, and is told of.
    const Status written = saver_.collect(/*wait=*/true);
    if (!written.ok()) report_.phase("no checkpoint: " + written.error().message);
    return ending;
  }

 private:
  Result<Ending> attempt() {
    TRY(prepare());
    while (!finished()) {
      if (!lease_.wait(signals::leave_requested)) return Ending{Outcome::left, "lease has passed"};
      const Wishes wishes = TRY(step());
      if (state_.nonfinite_steps_in_row >= spec_.nonfinite_limit) return not_a_number();
      const bool due = spec_.eval_steps > 0 && state_.step % spec_.eval_steps == 0;
      if (due) TRY(evaluate());
      const bool best = due && spec_.save_best && state_.best_step == state_.step;
      TRY(tolerated(saver_.collect(/*wait=*/false)));
      if (wishes.leave || wishes.save || best || saver_.due(state_.step)) TRY(save(wishes.leave));
      if (wishes.leave && !finished()) return Ending{Outcome::left, ""};
    }
    if (evaluated_step_ != state_.step) TRY(evaluate());
    TRY(tolerated(saver_.collect(/*wait=*/true)));
    if (saver_.newest_step() != state_.step) TRY(save(/*must_succeed=*/true));
    sample();
    progress("train");  // with the time of the last evaluation and checkpoint
    return Ending{Outcome::done, ""};
  }

  struct Wishes {  // of any rank, agreed upon by all
    bool leave = false, save = false;
  };

  Status prepare();
  void know_device_flops();
  Status begin();
  Status resume();
  Result<Wishes> step();
  Result<double> accumulate_gradients(int64_t tokens);
  void update(double loss_sum, int64_t tokens);
  Wishes agree(double& loss_sum, Millis step_ms);
  void tell_loss_scale();
  void watch_loss();
  Status evaluate();
  CheckpointCommitted about_state() const;
  Status save(bool must_succeed);
  Status tolerated(const Status& saved);
  Status open_curves();
  void draw_curves();
  void sample();
  void progress(const std::string& phase);

  bool finished() const {
    const bool out_of_time = spec_.max_duration && state_.elapsed_ms >= *spec_.max_duration;
    const bool no_better = spec_.early_stopping_patience > 0 &&
                           state_.evaluations_since_best >= spec_.early_stopping_patience;
    return (steps_ > 0 && state_.step >= steps_) || out_of_time || no_better;
  }
  Ending not_a_number() const {
    return {Outcome::nonfinite, std::to_string(state_.nonfinite_steps_in_row) +
                                    " steps in a row with a loss or gradient that is not finite, "
                                    "the last one step " +
                                    std::to_string(state_.step) + "; lower learning_rate?"};
  }
  double elapsed_share() const {
    return spec_.max_duration
               ? static_cast<double>(state_.elapsed_ms) / static_cast<double>(*spec_.max_duration)
               : 0;
  }

  const RunConfig& config_;
  const JobSpec& spec_;
  at::Device device_;
  const Clock& clock_;
  Lease lease_;
  Reporter& report_;
  Saver saver_;

  std::optional<Batches> batches_;
  std::optional<Collective> ranks_;
  std::unique_ptr<DataFeed> feed_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<PassGraph> pass_;
  std::unique_ptr<Optimizer> optimizer_;
  RunIdentity identity_;
  TrainState state_;
  int64_t steps_ = 0;  // 0: only time ends the run
  int64_t steps_here_ = 0, evaluated_step_ = -1;
  at::Tensor copy_;  // for checkpoints in the background; undefined: there is no room
  std::unique_ptr<ScalarLog> curves_;
  GradientNorms gradient_norms_{.all = kNan};
  double learning_rate_ = 0, seconds_per_step_ = 0;
  double device_flops_ = 0;  // per second, of all ranks; 0: unknown
  PhaseClock phases_;
  CpuPins pins_;
};

Status TrainingRun::prepare() {
  signals::preparing(true);
  const auto phase = [this](const std::string& text) { report_.phase(text); };
  batches_ = TRY(Batches::open(spec_, config_.cache_dir, config_.threads, phase));
  std::vector<int> cpus;
  if (device_.is_cpu()) cpus = pins_.pin(at::get_num_threads());
  steps_ = planned_steps(spec_, batches_->train_sequences());
  identity_ = {spec_, batches_->content_hash()};
  ranks_ = TRY(Collective::join(config_, device_));
  feed_ =
      std::make_unique<DataFeed>(*batches_, spec_, config_.plan, ranks_->rank(), ranks_->size());
  TRY(feed_->check());
  know_device_flops();
  model_ = std::make_unique<Model>(
      spec_.model.config,
      ModelOptions{.sequence_len = spec_.sequence_len,
                   .attention = attention_kind(config_.plan.attention),
                   .checkpointing = config_.plan.gradient_checkpointing,
                   .pulse = [this] { report_.pulse(); },
                   .device = device_,
                   .number = activation_type(spec_.precision),
                   .offload = offloads_activations(spec_.offload),
                   .master_weights = spec_.master_weights,
                   .pack_weights = packs_weights(spec_, config_.plan, config_.memory_cap_bytes)});
  pass_ = std::make_unique<PassGraph>(*model_, spec_.cuda_graphs, [this](const std::string& why) {
    report_.phase("cuda_graphs: not used: " + why);
  });
  optimizer_ = make_optimizer(spec_.optimizer, model_->layout(), device_, optimizer_options(spec_));
  if (ranks_->rank() == 0 && copies_checkpoints(spec_, config_.plan, config_.memory_cap_bytes)) {
    copy_ = allocate_copy(*model_, *optimizer_);
  }
  TRY(resume());
  TRY(open_curves());
  if (ranks_->rank() == 0) {
    const DataFacts& facts = batches_->facts();
    report_.line({{"type", "data"},
                  {"train_tokens", facts.train_tokens},
                  {"validation_tokens", facts.validation_tokens},
                  {"unigram_entropy", facts.unigram_entropy},
                  {"truncated_documents", facts.truncated_documents},
                  {"dropped_documents", facts.dropped_documents}});
  }
  report_.line({{"type", "up"},
                {"pid", getpid()},
                {"parameters", model_->layout().parameters()},
                {"device", config_.device},
                {"cpus", cpus}});
  signals::preparing(false);
  return ok_status();
}

// As the probe measured, else measured now, while no model is in memory.
void TrainingRun::know_device_flops() {
  const double known = config_.plan.device_flops;
  at::Tensor flops = at::full({1}, known > 0 ? known : measure_device_flops(device_), at::kDouble);
  ranks_->sum(flops);
  device_flops_ = flops.item<double>();
}

// The weights before the first step: those of the model's directory, or random ones.
Status TrainingRun::begin() {
  const std::string& path = spec_.model.path;
  if (!path.empty()) {
    const StoredModel base = TRY(open_stored_model(path));
    if (!base.slots.empty()) {
      report_.phase("load weights of " + path);
      return load_weights(base, model_->layout(), model_->writable_weights());
    }
  }
  report_.phase(path.empty() ? "initialize" : "initialize: " + path + " has no weights");
  initialize(model_->layout(), spec_.model.config.initializer_range, spec_.seed,
             model_->writable_weights());
  return ok_status();
}

Status TrainingRun::resume() {
  state_.loss = state_.eval_loss = kNan;
  state_.loss_scale = LossScale(spec_.precision);
  const std::optional<Checkpoint> from = TRY(saver_.newest());
  if (from) {
    state_ = TRY(restore(*from, identity_, *model_, *optimizer_));
    saver_.tell_resumed(*from, about_state());
  } else {
    TRY(begin());
  }
  if (ranks_->rank() == 0) TRY(saver_.keep_tokenizer(batches_->tokenizer()));
  // Ranks that resumed at different steps would mix weights of different ages.
  at::Tensor steps = at::zeros({ranks_->size()}, at::kLong);
  steps[ranks_->rank()] = state_.step;
  ranks_->sum(steps);
  if (!steps.eq(state_.step).all().item<bool>()) {
    return Error{Code::unavailable, "ranks found different checkpoints", ""};
  }
  return ok_status();
}

Result<TrainingRun::Wishes> TrainingRun::step() {
  const Millis begin = clock_.boot_ms();
  const int64_t tokens = feed_->learned_tokens(state_.step);
  double loss_sum = TRY(accumulate_gradients(tokens));
  phases_.enter(TrainPhase::communication);
  ranks_->sum(model_->gradients());
  const Wishes wishes = agree(loss_sum, clock_.boot_ms() - begin);
  phases_.enter(TrainPhase::optimizer);
  update(loss_sum, tokens);
  phases_.leave();
  ++state_.step;
  watch_loss();
  ++steps_here_;
  state_.tokens += tokens;
  const double seconds = static_cast<double>(std::max<Millis>(1, clock_.boot_ms() - begin)) / 1000;
  constexpr double kOld = 0.8;  // smooths what people see
  seconds_per_step_ = steps_here_ == 1 ? seconds : kOld * seconds_per_step_ + (1 - kOld) * seconds;
  if (steps_here_ == 2) {
    nlohmann::json memory = to_json(device_memory::peak_by_cause());
    memory["type"] = "memory";
    memory["peak_bytes"] = device_memory::peak_bytes();
    report_.line(memory);
  }
  progress("train");
  if (curves_ != nullptr && curves_->due()) draw_curves();
  return wishes;
}

void TrainingRun::watch_loss() {
  if (!std::isfinite(state_.loss)) return;
  const double expected = state_.trend.mean;
  if (!state_.trend.add(state_.loss) || ranks_->rank() != 0) return;
  report_.line(
      {{"type", "spike"}, {"step", state_.step}, {"loss", state_.loss}, {"expected", expected}});
}

// The loss is the mean over the `tokens` of all passes and ranks that count, so each pass is scaled
// by the same number.
Result<double> TrainingRun::accumulate_gradients(int64_t tokens) {
  at::Tensor loss_sum = at::zeros({}, at::device(device_).dtype(at::kDouble));
  const double scale = state_.loss_scale.value / static_cast<double>(tokens);
  for (int64_t pass = 0; pass < feed_->passes(); ++pass) {
    phases_.enter(TrainPhase::data);
    const MicroBatch batch = TRY(feed_->batch(state_.step, pass));
    phases_.enter(TrainPhase::compute);
    loss_sum += pass_->forward_backward(batch, scale);
  }
  return loss_sum.item<double>();  // waits for the device
}

// One small exchange per step: the loss, who wants to leave or save, and rank 0's clock.
TrainingRun::Wishes TrainingRun::agree(double& loss_sum, Millis step_ms) {
  const bool first = ranks_->rank() == 0;
  at::Tensor words = at::zeros({4}, at::kDouble);
  double* word = words.mutable_data_ptr<double>();
  word[0] = loss_sum;
  word[1] = signals::leave_requested() ? 1 : 0;
  word[2] = signals::take_save_request() ? 1 : 0;
  word[3] = first ? static_cast<double>(state_.elapsed_ms + step_ms) : 0;
  ranks_->sum(words);
  loss_sum = word[0];
  state_.elapsed_ms = static_cast<Millis>(word[3]);
  return {word[1] > 0, word[2] > 0};
}

void TrainingRun::update(double loss_sum, int64_t tokens) {
  gradient_norms_ =
      gradient_norms(model_->layout(), model_->gradients(), 1 / state_.loss_scale.value);
  learning_rate_ = learning_rate(spec_, {state_.step, steps_, elapsed_share()});
  state_.loss = loss_sum / static_cast<double>(tokens);
  if (!std::isfinite(gradient_norms_.all) || !std::isfinite(loss_sum)) {
    model_->gradients().zero_();
    if (state_.loss_scale.step_was_not_finite()) return tell_loss_scale();
    ++state_.nonfinite_steps;
    ++state_.nonfinite_steps_in_row;
    return;
  }
  state_.nonfinite_steps_in_row = 0;
  const double clip = clip_scale(gradient_norms_.all, spec_.max_grad_norm);
  optimizer_->update(model_->writable_weights(), model_->gradients(),
                     optimizer_step(spec_, learning_rate_, clip / state_.loss_scale.value));
  state_.loss_scale.step_was_good();
}

void TrainingRun::tell_loss_scale() {
  if (ranks_->rank() != 0) return;
  report_.line({{"type", "loss_scale"}, {"step", state_.step}, {"value", state_.loss_scale.value}});
}

Status TrainingRun::evaluate() {
  if (feed_->validation_sequences() == 0) return ok_status();
  progress("eval");
  phases_.enter(TrainPhase::eval);
  const UseAverage average(*model_, *optimizer_);
  double loss_sum = 0;
  for (int64_t pass = 0; pass < feed_->validation_passes(); ++pass) {
    const MicroBatch batch = TRY(feed_->validation_batch(pass));
    loss_sum += model_->forward(batch).item<double>();
  }
  at::Tensor total = at::full({1}, loss_sum, at::kDouble);
  ranks_->sum(total);
  state_.eval_loss = total.item<double>() / static_cast<double>(feed_->validation_tokens());
  phases_.leave();
  report_.flush();
  report_.line({{"type", "eval"}, {"step", state_.step}, {"loss", state_.eval_loss}});
  evaluated_step_ = state_.step;
  const bool best = std::isnan(state_.best_eval_loss) || state_.eval_loss < state_.best_eval_loss;
  if (best) {
    state_.best_eval_loss = state_.eval_loss;
    state_.best_step = state_.step;
  }
  state_.evaluations_since_best = best ? 0 : state_.evaluations_since_best + 1;
  if (curves_ != nullptr) draw_curves();
  return ok_status();
}

Status TrainingRun::open_curves() {
  if (ranks_->rank() != 0 || spec_.report_to.empty()) return ok_status();
  curves_ = std::make_unique<ScalarLog>(clock_);
  return curves_->open(config_.job_dir, spec_, state_.step);
}

void TrainingRun::draw_curves() {
  CurvePoint point = {.step = state_.step, .loss = state_.loss, .eval_loss = kNan};
  if (evaluated_step_ == state_.step) point.eval_loss = state_.eval_loss;
  point.learning_rate = learning_rate_;
  point.gradient_norms = gradient_norms_;
  point.seconds_per_step = seconds_per_step_;
  point.loss_spikes = state_.trend.spikes;
  const Status added = curves_->add(point);
  if (added.ok()) return;
  report_.phase("no curves any more: " + added.error().message);
  curves_.reset();
}

CheckpointCommitted TrainingRun::about_state() const {
  CheckpointCommitted about;
  about.step = state_.step;
  about.tokens = state_.tokens;
  about.loss = state_.loss;
  return about;
}

Status TrainingRun::save(bool must_succeed) {
  if (ranks_->rank() != 0) return ok_status();
  progress("checkpoint");
  report_.flush();
  phases_.enter(TrainPhase::checkpoint);
  Saver::Request request;
  TRY(tolerated(saver_.collect(/*wait=*/true)));
  request.about = about_state();
  request.best_step = spec_.save_best ? state_.best_step : -1;
  request.in_background = copy_.defined() && !must_succeed;
  request.content = [&] {
    return live_content(saver_.epoch(), state_, identity_, *model_, *optimizer_,
                        request.in_background ? copy_ : at::Tensor());
  };
  const Status saved = saver_.save(request);
  phases_.leave();
  return must_succeed ? saved : tolerated(saved);
}

// With a full disk a run does better to go on: the next checkpoint may fit again.
Status TrainingRun::tolerated(const Status& saved) {
  if (saved.ok() || saved.error().code != Code::resource_exhausted) return saved;
  report_.phase("no checkpoint: " + saved.error().message);
  return ok_status();
}

void TrainingRun::sample() {
  if (spec_.sample_prompt.empty() || ranks_->rank() != 0) return;
  report_.phase("sample");
  const UseAverage average(*model_, *optimizer_);
  std::string text;
  const Status made =
      generate(*model_, batches_->tokenizer(), {.prompt = spec_.sample_prompt, .seed = spec_.seed},
               [&](std::string_view piece) { text += piece; });
  if (!made.ok()) text = made.error().message;
  report_.line(to_report(SampleGenerated{state_.step, spec_.sample_prompt, text}));
}

void TrainingRun::progress(const std::string& phase) {
  Progressed now;
  now.step = state_.step;
  now.steps = steps_;
  now.tokens = state_.tokens;
  now.loss = state_.loss;
  now.eval_loss = state_.eval_loss;
  now.learning_rate = learning_rate_;
  now.grad_norm = gradient_norms_.all;
  now.group_grad_norms = gradient_norms_.of_group;
  now.loss_spikes = state_.trend.spikes;
  now.seconds_per_step = seconds_per_step_;
  now.tokens_per_second =
      seconds_per_step_ > 0
          ? static_cast<double>(spec_.global_batch_size * spec_.sequence_len) / seconds_per_step_
          : 0;
  now.peak_bytes = device_memory::peak_bytes();
  now.nonfinite_steps = state_.nonfinite_steps;
  now.phase = phase;
  const double flops =
      now.tokens_per_second * flops_per_token(spec_.model.config, spec_.sequence_len);
  if (device_flops_ > 0) {
    device_flops_ = std::max(device_flops_, flops);  // others computed while it was measured
    now.mfu = flops / device_flops_;
  }
  now.phase_seconds = phases_.seconds();
  report_.step(now);
}

Outcome outcome_of(Code code) {
  switch (code) {
    case Code::invalid_argument:
    case Code::failed_precondition:
    case Code::not_found:
      return Outcome::bad_input;
    case Code::data_loss:
      return Outcome::checkpoint_lost;
    case Code::resource_exhausted:
      return Outcome::storage_full;
    case Code::aborted:
      return Outcome::left;
    default:
      return Outcome::crashed;
  }
}

}  // namespace

Ending train(const RunConfig& config,
             at::Device device,
             const std::filesystem::path& run_directory,
             const Clock& clock,
             Reporter& report) {
  Result<Ending> ending = TrainingRun(config, device, run_directory, clock, report).run();
  if (ending.ok()) return *ending;
  const Error& error = ending.error();
  return {outcome_of(error.code),
          error.hint.empty() ? error.message : error.message + " (" + error.hint + ")"};
}

}  // namespace llmctl
