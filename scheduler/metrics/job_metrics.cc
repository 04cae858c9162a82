#include "scheduler/metrics/job_metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

namespace llmctl {
namespace {

constexpr size_t kJobsWithSeries = 1'000;  // about 50 lines each: a page of a few MiB at most
constexpr Millis kKeepEnded = 300'000;     // at least two scrapes of any usual interval
constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

struct ProgressGauge {
  const char* name;
  const char* help;
  double (*value)(const Progressed&);  // NaN: no series
};

double known(double value) {
  return value > 0 ? value : kUnknown;
}

constexpr auto kProgressGauges = std::to_array<ProgressGauge>({
    {"llmctl_train_step", "Optimizer steps done.",
     [](const Progressed& p) { return static_cast<double>(p.step); }},
    {"llmctl_train_steps_planned", "Optimizer steps the run will take in all.",
     [](const Progressed& p) { return known(static_cast<double>(p.steps)); }},
    {"llmctl_train_loss", "Training loss of the last step, mean over tokens, in nats.",
     [](const Progressed& p) { return p.step > 0 ? p.loss : kUnknown; }},
    {"llmctl_eval_loss", "Validation loss of the last evaluation, mean over tokens, in nats.",
     [](const Progressed& p) { return p.step > 0 ? p.eval_loss : kUnknown; }},
    {"llmctl_train_grad_norm", "Norm of the gradient before clipping.",
     [](const Progressed& p) { return p.step > 0 ? p.grad_norm : kUnknown; }},
    {"llmctl_train_learning_rate", "Learning rate of the last step.",
     [](const Progressed& p) { return p.step > 0 ? p.learning_rate : kUnknown; }},
    {"llmctl_train_tokens_per_second", "Training speed of all ranks together.",
     [](const Progressed& p) { return known(p.tokens_per_second); }},
    {"llmctl_train_mfu_ratio", "Model FLOPs per second over what the devices can do.",
     [](const Progressed& p) { return known(p.mfu); }},
    {"llmctl_train_memory_peak_bytes", "Peak device memory of the busiest rank.",
     [](const Progressed& p) { return known(static_cast<double>(p.peak_bytes)); }},
});

const Buckets& step_buckets() {
  static const Buckets buckets{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300};
  return buckets;
}

std::string model_label(const JobSpec& spec) {
  return label_value(!spec.model.preset.empty() ? spec.model.preset
                     : !spec.model.path.empty() ? spec.model.path
                                                : "inline");
}

}  // namespace

std::string state_label(JobState state) {
  std::string text = to_string(state);
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

struct JobMetrics::Families {
  prometheus::Registry& r;
  GaugeFamily& info = gauge(r, "llmctl_job_info", "Names of a job, to join by job_id; always 1.");
  GaugeFamily& state = gauge(r, "llmctl_job_state", "1 for the state the job is in.");
  GaugeFamily& placement = gauge(
      r, "llmctl_job_device_promised_bytes", "Device memory promised to the job's live attempt.");
  GaugeFamily& predicted =
      gauge(r, "llmctl_train_memory_predicted_bytes", "Peak that the plan predicts for one rank.");
  CounterFamily& tokens = counter(r,
                                  "llmctl_train_tokens_total",
                                  "Tokens trained on, those repeated after a restart included.");
  CounterFamily& nonfinite =
      counter(r, "llmctl_train_nonfinite_steps_total", "Steps skipped for a NaN or an infinity.");
  CounterFamily& spikes = counter(
      r, "llmctl_train_loss_spikes_total", "Losses far above what the ones before promised.");
  GaugeFamily& group_norms = gauge(r,
                                   "llmctl_train_group_grad_norm",
                                   "Norm of the gradient of one group of parameters, before "
                                   "clipping.");
  CounterFamily& restarts =
      counter(r, "llmctl_train_restarts_total", "Attempts that were lost and had to be repeated.");
  HistogramFamily& steps =
      histogram(r, "llmctl_train_step_duration_seconds", "Seconds per optimizer step.");
  CounterFamily& checkpoints =
      counter(r, "llmctl_checkpoints_total", "Checkpoints committed, or found corrupt.");
  CounterFamily& phases = counter(
      r, "llmctl_train_phase_duration_seconds_total", "Where the time of rank 0 went, by phase.");
  GaugeFamily& checkpoint_seconds =
      gauge(r, "llmctl_checkpoint_duration_seconds", "How long the newest checkpoint took.");
  GaugeFamily& checkpoint_size =
      gauge(r, "llmctl_checkpoint_size_bytes", "Size of the newest checkpoint.");
  GaugeFamily& checkpoint_time = gauge(r,
                                       "llmctl_checkpoint_last_success_timestamp_seconds",
                                       "When the newest checkpoint was committed, Unix time.");
  GaugeFamily& checkpoint_step =
      gauge(r, "llmctl_checkpoint_last_success_step", "Step of the newest checkpoint.");
  std::vector<GaugeFamily*> progress;

  explicit Families(prometheus::Registry& registry) : r(registry) {
    for (const ProgressGauge& row : kProgressGauges) {
      progress.push_back(&gauge(r, row.name, row.help));
    }
  }
};

struct JobMetrics::OneJob {
  prometheus::Labels id;
  Series<prometheus::Gauge> info, state, predicted, checkpoint_size, checkpoint_seconds,
      checkpoint_time, checkpoint_step;
  std::map<std::pair<WorkerId, std::string>, Series<prometheus::Gauge>> placement;
  std::array<Series<prometheus::Gauge>, kProgressGauges.size()> progress;
  std::array<Series<prometheus::Gauge>, kParameterGroups> group_norms;
  Series<prometheus::Counter> tokens, nonfinite, spikes, restarts, committed, corrupt;
  std::array<Series<prometheus::Counter>, kTrainPhases> phases;
  Series<prometheus::Histogram> steps;
  GrowingTotal tokens_seen, nonfinite_seen, spikes_seen, steps_seen;
  std::array<GrowingTotal, kTrainPhases> phases_seen;
  std::optional<Millis> ended_boot_ms;
};

JobMetrics::JobMetrics(prometheus::Registry& registry)
    : families_(std::make_unique<Families>(registry)),
      refused_(counter(registry,
                       "llmctl_job_series_refused_total",
                       "Jobs without own series because too many jobs were live.")
                   .Add({})) {}

JobMetrics::~JobMetrics() = default;

void JobMetrics::load(const Job& job) {
  if (job.attempts > 0 || job.attempt) begin(job);
}

JobMetrics::OneJob* JobMetrics::begin(const Job& job) {
  if (const auto found = jobs_.find(job.id); found != jobs_.end()) return &found->second;
  if (jobs_.size() >= kJobsWithSeries) {  // make room: the job that ended first has been seen most
    const auto oldest = std::min_element(jobs_.begin(), jobs_.end(), [](auto& a, auto& b) {
      constexpr Millis kNever = std::numeric_limits<Millis>::max();
      return a.second.ended_boot_ms.value_or(kNever) < b.second.ended_boot_ms.value_or(kNever);
    });
    if (!oldest->second.ended_boot_ms) {
      refused_.Increment();
      return nullptr;
    }
    jobs_.erase(oldest);
  }
  const Families& f = *families_;
  OneJob& one = jobs_[job.id];
  one.id = {{"job_id", job.id.str()}};
  one.info = series(f.info, {{"job_id", job.id.str()},
                             {"name", label_value(job.spec->name)},
                             {"model", model_label(*job.spec)},
                             {"method", label_value(job.spec->method)}});
  one.info->Set(1);
  one.tokens = series(f.tokens, one.id);
  one.nonfinite = series(f.nonfinite, one.id);
  one.spikes = series(f.spikes, one.id);
  one.restarts = series(f.restarts, one.id);
  one.restarts->Increment(static_cast<double>(job.restarts));
  one.steps = series(f.steps, one.id, step_buckets());
  for (size_t i = 0; i < kTrainPhases; ++i) {
    const char* phase = to_string(static_cast<TrainPhase>(i));
    one.phases[i] = series(f.phases, {{"job_id", job.id.str()}, {"phase", phase}});
  }
  if (job.checkpoints.empty() && !job.retry_of && job.attempts <= 1 && job.progress.step == 0) {
    for (GrowingTotal* total :
         {&one.tokens_seen, &one.nonfinite_seen, &one.spikes_seen, &one.steps_seen}) {
      total->start_at(0);
    }
    for (GrowingTotal& total : one.phases_seen) total.start_at(0);
  }
  moved(one, JobMoved{job.state, job.state, job.reason, "", 0}, 0);
  place(one, job);
  return &one;
}

void JobMetrics::observe(const Event& event, const Job* job, Millis boot_ms) {
  if (std::holds_alternative<AttemptGranted>(event.body) && job) {
    if (OneJob* one = begin(*job)) place(*one, *job);
    return;
  }
  const auto found = jobs_.find(event.job);
  if (found == jobs_.end()) return;
  OneJob& one = found->second;
  if (const auto* move = std::get_if<JobMoved>(&event.body)) {
    moved(one, *move, boot_ms);
  } else if (const auto* progress = std::get_if<Progressed>(&event.body)) {
    progressed(one, *progress);
  } else if (const auto* made = std::get_if<CheckpointCommitted>(&event.body)) {
    const Families& f = *families_;
    if (!one.committed) {
      one.committed = series(f.checkpoints, {{"job_id", event.job.str()}, {"result", "committed"}});
    }
    one.committed->Increment();
    set_finite(one.checkpoint_size, f.checkpoint_size, one.id, static_cast<double>(made->bytes));
    set_finite(one.checkpoint_seconds, f.checkpoint_seconds, one.id, known(made->seconds));
    set_finite(one.checkpoint_time, f.checkpoint_time, one.id,
               static_cast<double>(event.unix_ms) / 1000);
    set_finite(one.checkpoint_step, f.checkpoint_step, one.id, static_cast<double>(made->step));
  } else if (const auto* removed = std::get_if<CheckpointRemoved>(&event.body)) {
    if (!removed->corrupt) return;
    if (!one.corrupt) {
      one.corrupt =
          series(families_->checkpoints, {{"job_id", event.job.str()}, {"result", "corrupt"}});
    }
    one.corrupt->Increment();
  } else if (job && std::holds_alternative<JobPlanned>(event.body)) {
    set_finite(one.predicted, families_->predicted, one.id,
               known(static_cast<double>(job->plan.peak_bytes_predicted)));
  }
  if (!job || !job->attempt) {
    one.placement.clear();
  }
}

void JobMetrics::moved(OneJob& one, const JobMoved& move, Millis boot_ms) {
  const prometheus::Labels labels{{"job_id", one.id["job_id"]}, {"state", state_label(move.to)}};
  one.state.reset();
  one.state = series(families_->state, labels);
  one.state->Set(1);
  if (move.to == JobState::recovering) one.restarts->Increment();
  if (is_terminal(move.to)) one.ended_boot_ms = boot_ms;
}

void JobMetrics::progressed(OneJob& one, const Progressed& progress) {
  for (size_t i = 0; i < kProgressGauges.size(); ++i) {
    set_finite(one.progress[i], *families_->progress[i], one.id,
               kProgressGauges[i].value(progress));
  }
  if (progress.step == 0) return;  // a new attempt prepares; its totals are not told yet
  one.tokens->Increment(one.tokens_seen.observe(static_cast<double>(progress.tokens)));
  one.nonfinite->Increment(
      one.nonfinite_seen.observe(static_cast<double>(progress.nonfinite_steps)));
  one.spikes->Increment(one.spikes_seen.observe(static_cast<double>(progress.loss_spikes)));
  for (size_t i = 0; i < kParameterGroups; ++i) {
    const char* group = to_string(static_cast<ParameterGroup>(i));
    set_finite(one.group_norms[i], families_->group_norms,
               {{"job_id", one.id["job_id"]}, {"group", group}},
               known(progress.group_grad_norms[i]));
  }
  for (size_t i = 0; i < kTrainPhases; ++i) {
    one.phases[i]->Increment(one.phases_seen[i].observe(progress.phase_seconds[i]));
  }
  // Reports come at most ten a second and may cover many steps: each step counts, all with the
  // duration of the last.
  const double steps = one.steps_seen.observe(static_cast<double>(progress.step));
  if (steps == 0 || !std::isfinite(known(progress.seconds_per_step))) return;
  const Buckets& bounds = step_buckets();
  std::vector<double> increments(bounds.size() + 1, 0);
  const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), progress.seconds_per_step);
  increments[static_cast<size_t>(bucket - bounds.begin())] = steps;
  one.steps->ObserveMultiple(increments, progress.seconds_per_step * steps);
}

void JobMetrics::place(OneJob& one, const Job& job) {
  one.placement.clear();
  set_finite(one.predicted, families_->predicted, one.id,
             known(static_cast<double>(job.plan.peak_bytes_predicted)));
  if (!job.attempt) return;
  for (const Grant& grant : job.attempt->grants) {
    const std::string device = device_label(grant.device_kind, grant.device_index);
    Series<prometheus::Gauge>& slot = one.placement[{grant.worker, device}];
    if (!slot) {
      slot = series(families_->placement, {{"job_id", job.id.str()},
                                           {"worker_id", grant.worker.str()},
                                           {"device", label_value(device)}});
    }
    slot->Increment(static_cast<double>(grant.bytes));
  }
}

void JobMetrics::drop_ended(Millis boot_ms) {
  std::erase_if(jobs_, [boot_ms](const auto& entry) {
    const std::optional<Millis>& ended = entry.second.ended_boot_ms;
    return ended && boot_ms - *ended >= kKeepEnded;
  });
}

}  // namespace llmctl
