#include "scheduler/loop/loop.h"

#include <algorithm>
#include <iterator>

#include "core/base/limits.h"
#include "core/base/log.h"
#include "scheduler/loop/metric_points.h"
#include "scheduler/store/job_row.h"

namespace llmctl {
namespace {

constexpr Millis kTickEvery = 250;
constexpr Millis kGap = 4 * kTickEvery;    // between two turns: the process was stopped
constexpr Millis kFlushEvery = 1'000;      // progress and points: what a crash may lose
constexpr size_t kPointsWaiting = 50'000;  // flushed earlier beyond this
// An early tick may come again after this many times its own duration, so that scheduling a huge
// queue never takes more than a fifth of the loop from answering.
constexpr Millis kEarlyTickPause = 4;

}  // namespace

Loop::Loop(SchedulerConfig config,
           Store& store,
           DiskReserve reserve,
           const Clock& clock,
           SchedulerMetrics& metrics,
           Decide decide)
    : config_(config),
      store_(store),
      reserve_(std::move(reserve)),
      clock_(clock),
      metrics_(metrics),
      decide_(std::move(decide)),
      queue_(limits::kInputQueue) {}

Status Loop::load() {
  state_ = TRY(store_.load());
  state_.started_boot_ms = clock_.boot_ms();
  // A worker has its whole lease to come back, counted from now.
  for (auto& [id, worker] : state_.workers) worker.seen_boot_ms = state_.started_boot_ms;
  disk_full_ = !reserve_.hold();
  return ok_status();
}

bool Loop::post(InputBody input, Reply reply) {
  return queue_.try_push(Posted{std::move(input), std::move(reply), nullptr});
}

bool Loop::query(Query query) {
  return queue_.try_push(Posted{TickInput{}, nullptr, std::move(query)});
}

void Loop::begin(LoopListener& listener) {
  listener_ = &listener;
  metrics_.load(state_);
}

void Loop::turn(Millis wait_most) {
  run_batch(queue_.pop(limits::kBatchInputs, wait_most));
}

void Loop::run(LoopListener& listener) {
  begin(listener);
  while (!queue_.drained()) turn(std::max<Millis>(tick_boot_ms_ - clock_.boot_ms(), 0));
  flush_boot_ms_ = 0;
  run_batch({});
}

void Loop::run_batch(std::vector<Posted> posted) {
  now_boot_ms_ = clock_.boot_ms();
  now_unix_ms_ = clock_.unix_ms();
  const Millis gap = now_boot_ms_ - std::exchange(turned_boot_ms_, now_boot_ms_);
  if (gap > std::max(config_.lease_ms / 2, kGap)) awake_since_boot_ms_ = now_boot_ms_;
  Batch batch;
  for (Posted& one : posted) {
    if (!one.query) decide_one(batch, std::move(one.input), std::move(one.reply));
  }
  tick_if_due(batch);
  if (!batch.failure) {
    Status persisted = persist(batch);
    if (!persisted.ok()) batch.failure = std::move(persisted).error();
  }
  if (batch.failure) {
    roll_back(batch, *batch.failure);
  } else {
    after_commit(batch);
  }
  for (const Posted& one : posted) {
    if (one.query) one.query(state_);
  }
  if (!posted.empty()) {
    metrics_.cycle_done(static_cast<double>(clock_.boot_ms() - now_boot_ms_) / 1e3);
  }
}

void Loop::decide_one(Batch& batch, InputBody body, Reply reply) {
  Answered answered{std::move(reply), {}};
  auto* submit = std::get_if<SubmitInput>(&body);
  if (batch.failure) {
    // Nothing of this batch will be kept; roll_back() answers.
  } else if (submit != nullptr && disk_full_) {
    answered.answer.error = Error{Code::resource_exhausted, "the scheduler's disk is full",
                                  "make room in its data directory and submit again"};
  } else {
    Status ready = submit == nullptr ? ok_status() : look_up_finished_twin(*submit);
    Decision decision;
    if (ready.ok())
      decision = decide_(state_, {now_boot_ms_, now_unix_ms_, std::move(body)}, config_);
    answered.answer = std::move(decision.answer);
    for (const Event& event : decision.events) {
      if (ready.ok()) ready = stage(batch, event);
    }
    to_sync_.merge(decision.sync);
    if (!ready.ok()) batch.failure = std::move(ready).error();
  }
  batch.answered.push_back(std::move(answered));
}

Status Loop::look_up_finished_twin(SubmitInput& submit) {
  if (submit.idempotency_key.empty() || state_.keys.contains(submit.idempotency_key)) {
    return ok_status();
  }
  const auto owner = TRY(store_.find_key(submit.idempotency_key));
  if (!owner) return ok_status();
  submit.finished_twin = owner->job;
  submit.finished_twin_same_spec = owner->spec_json == submit.spec.text();
  return ok_status();
}

Status Loop::stage(Batch& batch, const Event& event) {
  const auto before = state_.jobs.find(event.job);
  std::optional<Job> leaving;
  const bool may_leave =
      std::holds_alternative<JobMoved>(event.body) || std::holds_alternative<RankGone>(event.body);
  if (may_leave && before != state_.jobs.end()) leaving = before->second;
  if (const auto* progress = std::get_if<Progressed>(&event.body)) {
    const Progressed known = before == state_.jobs.end() ? Progressed{} : before->second.progress;
    progressed_.insert(event.job);
    std::ranges::move(metric_points(event, *progress, known), std::back_inserter(points_));
  }
  if (const auto* made = std::get_if<CheckpointCommitted>(&event.body)) {
    std::ranges::move(metric_points(event, *made), std::back_inserter(points_));
  }
  batch.wakes = batch.wakes || wakes(event);
  apply(state_, event);
  batch.events.push_back(event);
  if (leaving && !state_.jobs.contains(event.job)) {
    apply(*leaving, event);
    batch.left.insert_or_assign(event.job, *std::move(leaving));
  }
  if (!is_durable(event)) return ok_status();
  TRY(store_.append(event));
  if (std::holds_alternative<JobSubmitted>(event.body)) {
    // The row with the idempotency key must be there for the next submission of this batch.
    TRY(store_.put_job(job_record(state_, state_.jobs.at(event.job), false)));
  } else if (event.job) {
    batch.touched.insert(event.job);
  }
  if (const auto* measured = std::get_if<ProbeMeasured>(&event.body)) {
    TRY(store_.put_profile(measured->profile_key, state_.profiles[measured->profile_key]));
  }
  return ok_status();
}

void Loop::tick_if_due(Batch& batch) {
  if (batch.wakes) tick_boot_ms_ = std::min(tick_boot_ms_, early_tick_boot_ms_);
  if (now_boot_ms_ < tick_boot_ms_) return;
  if (disk_full_) recover_space();
  decide_one(batch, TickInput{awake_since_boot_ms_}, nullptr);
  const Millis end = clock_.boot_ms();
  early_tick_boot_ms_ = end + kEarlyTickPause * (end - now_boot_ms_);
  tick_boot_ms_ = end + kTickEvery;
}

Status Loop::persist(Batch& batch) {
  // Whoever sees the end of a job finds its series whole.
  const bool flush =
      now_boot_ms_ >= flush_boot_ms_ || points_.size() > kPointsWaiting || !batch.left.empty();
  if (flush) TRY(flush_progress(batch));
  for (const JobId id : batch.touched) {
    const auto live = state_.jobs.find(id);
    const bool finished = live == state_.jobs.end();
    const Job& job = finished ? batch.left.at(id) : live->second;
    TRY(store_.put_job(job_record(state_, job, finished)));
    progressed_.erase(id);
  }
  const Millis begin = clock_.boot_ms();
  TRY(store_.commit());
  if (std::any_of(batch.events.begin(), batch.events.end(), is_durable)) {
    metrics_.store_written(static_cast<double>(clock_.boot_ms() - begin) / 1e3);
  }
  return ok_status();
}

Status Loop::flush_progress(Batch& batch) {
  flush_boot_ms_ = now_boot_ms_ + kFlushEvery;
  metrics_.refresh(state_);
  if (disk_full_) {
    points_.clear();
    return ok_status();
  }
  for (const JobId id : progressed_) {
    const auto live = state_.jobs.find(id);
    if (live == state_.jobs.end() || batch.touched.contains(id)) continue;
    TRY(store_.put_job(job_record(state_, live->second, false)));
  }
  progressed_.clear();
  TRY(store_.put_points(points_));
  points_.clear();
  return ok_status();
}

void Loop::after_commit(Batch& batch) {
  for (const Event& event : batch.events) metrics_.observe(event, state_);
  if (!batch.events.empty()) {
    auto events = std::make_shared<const std::vector<Event>>(std::move(batch.events));
    events_missed_ = !listener_->committed(std::move(events)) || events_missed_;
  }
  for (const Answered& one : batch.answered) {
    if (one.reply) one.reply(one.answer, state_);
  }
  sync_workers();
  retry_notices();
}

void Loop::retry_notices() {
  if (events_missed_) events_missed_ = !listener_->events_missed();
  if (state_reloaded_) state_reloaded_ = !listener_->state_reloaded();
}

// A progress report or a heartbeat of a connected worker gives nobody a place.
bool Loop::wakes(const Event& event) const {
  if (std::holds_alternative<Progressed>(event.body)) return false;
  if (!std::holds_alternative<WorkerSeen>(event.body)) return true;
  const auto worker = state_.workers.find(event.worker);
  return worker == state_.workers.end() || !worker->second.connected;
}

void Loop::roll_back(Batch& batch, const Error& error) {
  log_error("transaction failed", {{"error", error.message}});
  if (error.code == Code::data_loss) {
    log_error("the store cannot be trusted; stopping");
    std::_Exit(1);
  }
  store_.rollback();
  if (error.code == Code::resource_exhausted) {
    reserve_.release();
    disk_full_ = true;
  }
  auto reloaded = store_.load();
  if (!reloaded.ok()) {
    log_error("cannot load again; stopping", {{"error", reloaded.error().message}});
    std::_Exit(1);
  }
  state_ = std::move(reloaded).value();
  state_.started_boot_ms = now_boot_ms_;
  for (auto& [id, worker] : state_.workers) worker.seen_boot_ms = now_boot_ms_;
  points_.clear();
  progressed_.clear();
  to_sync_.clear();
  state_reloaded_ = true;
  retry_notices();
  Answer refused;
  refused.error = error;
  for (const Answered& one : batch.answered) {
    if (one.reply) one.reply(refused, state_);
  }
}

void Loop::sync_workers() {
  for (auto worker = to_sync_.begin(); worker != to_sync_.end();) {
    const bool taken = listener_->desired(*worker, desired_runs(state_, *worker, config_));
    worker = taken ? to_sync_.erase(worker) : std::next(worker);
  }
}

void Loop::recover_space() {
  if (!reserve_.hold()) return;
  disk_full_ = false;
  log_info("disk has room again");
}

}  // namespace llmctl
