// What the agent does with desired runs, leases and time. What ranks say is in agent_reports.cc.
#include "worker/agent/agent.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "core/base/utf8.h"

namespace llmctl::worker {

static constexpr size_t kUnanswered = 64;    // heartbeats; older answers no longer matter
static constexpr size_t kFences = 4'096;     // jobs whose newest epoch is remembered
static constexpr Millis kKillAgain = 1'000;  // a kill may come before the rank has a pid
static constexpr size_t kDetail = 8 << 10;   // of one run
static constexpr size_t kDetails = 1 << 20;  // of all in one message
static constexpr Millis kTick = 1'000;       // hang and grace are checked this often

static RunKey key_of(const RunConfig& config) {
  return {JobId{config.job_id}, Epoch{config.epoch}, config.rank};
}

static Run new_run(const RunKey& key, Millis lease_until, Millis now) {
  Run run;
  run.status.job = key.job;
  run.status.epoch = key.epoch;
  run.status.rank = key.rank;
  run.progress.loss = run.progress.eval_loss = std::nan("");
  run.lease_until_boot_ms = lease_until;
  run.last_line_boot_ms = now;
  return run;
}

Agent::Agent(AgentConfig config, Host& host) : config_(std::move(config)), host_(host) {}

void Agent::adopt(const RunKey& key, Millis lease_until_boot_ms) {
  runs_.emplace(key, new_run(key, lease_until_boot_ms, host_.boot_ms()));
  Epoch& newest = newest_epoch_[key.job];
  newest = std::max(newest, key.epoch);
}

void Agent::receive(const FromScheduler& message) {
  if (std::holds_alternative<Dialing>(message)) on_dialing();
  if (const auto* welcome = std::get_if<Welcome>(&message)) on_welcome(*welcome);
  if (const auto* ack = std::get_if<HeartbeatAck>(&message)) on_ack(*ack);
  if (const auto* desired = std::get_if<Desired>(&message)) on_desired(*desired);
  if (std::holds_alternative<Disconnected>(message)) on_disconnected();
}

// Of a very short lease, as tests use, a quarter: the rest must still be of use.
Millis Agent::margin() const {
  return std::min(limits::kLeaseMargin, lease_ms_ / 4);
}

void Agent::on_dialing() {
  link_ = Link::greeting;
  desired_is_current_ = false;
  unanswered_.clear();
  hello_boot_ms_ = host_.boot_ms();
  (void)jobs_folder_changed();
  folder_changed_ = false;
  outbox_.clear();
  outbox_.emplace_back(Hello{config_.name, config_.instance, config_.inventory, statuses(),
                             config_.cluster_id, hello_boot_ms_});
}

// A scheduler welcomes no worker that holds live runs of another cluster. What is left of that one
// is no news here, and its epochs are no fence for jobs of the same numbers.
void Agent::join(const std::string& cluster_id) {
  if (cluster_id.empty() || cluster_id == config_.cluster_id) return;
  if (!config_.cluster_id.empty()) {
    for (const auto& [key, run] : runs_) host_.retire(key);
    runs_.clear();
    newest_epoch_.clear();
    desired_.reset();
    waiting_.clear();
  }
  config_.cluster_id = cluster_id;
  host_.keep_cluster(cluster_id);
}

void Agent::on_welcome(const Welcome& welcome) {
  link_ = Link::up;
  join(welcome.cluster_id);
  lease_ms_ = welcome.lease_ms;
  heartbeat_ms_ = welcome.heartbeat_ms;
  heartbeat_boot_ms_ = hello_boot_ms_;
  lease_until_boot_ms_ = std::max(lease_until_boot_ms_, hello_boot_ms_ + lease_ms_ - margin());
  renew(lease_until_boot_ms_, false);
  for (const auto& [key, run] : runs_) {
    for (const RankReport& fact : run.facts) outbox_.emplace_back(RunReport{key, fact});
  }
  for (RunReport& report : waiting_) outbox_.emplace_back(std::move(report));
  waiting_.clear();
}

void Agent::on_ack(const HeartbeatAck& ack) {
  while (!unanswered_.empty() && unanswered_.front().first < ack.number) unanswered_.pop_front();
  if (unanswered_.empty() || unanswered_.front().first != ack.number) return;
  renew(unanswered_.front().second + lease_ms_ - margin(), true);
  unanswered_.pop_front();
}

void Agent::on_disconnected() {
  link_ = Link::down;
  outbox_.clear();  // runs and facts are told again; progress in flight is lost with the stream
}

// `thaw`: the scheduler itself has spoken. A lease that has lapsed comes back only for a run that
// this connection has named as wanted: another epoch may have taken over in between.
void Agent::renew(Millis until_boot_ms, bool thaw) {
  const Millis now = host_.boot_ms();
  if (thaw) lease_until_boot_ms_ = std::max(lease_until_boot_ms_, until_boot_ms);
  for (auto& [key, run] : runs_) {
    const bool lapsed = now > run.lease_until_boot_ms;
    const bool wanted =
        desired_is_current_ && desired_->contains(key) && run.kill_asked_boot_ms == 0;
    if (run.ended() || until_boot_ms <= run.lease_until_boot_ms) continue;
    if (lapsed && !(thaw && wanted)) continue;
    if (lapsed) run.last_line_boot_ms = now;
    run.lease_until_boot_ms = until_boot_ms;
    host_.renew_lease(key, until_boot_ms);
  }
}

void Agent::on_desired(const Desired& desired) {
  desired_.emplace();
  for (const RunOrder& order : desired.runs) {
    const RunKey key = key_of(order.config);
    desired_->insert_or_assign(key, order);
    Epoch& newest = newest_epoch_[key.job];
    newest = std::max(newest, key.epoch);
  }
  while (newest_epoch_.size() > kFences) newest_epoch_.erase(newest_epoch_.begin());
  const bool first = !std::exchange(desired_is_current_, true);
  reconcile();
  if (first) renew(lease_until_boot_ms_, true);
}

// Makes the actual runs follow the desired ones. Idempotent; until the scheduler has spoken once
// nothing that was found on disk is touched.
void Agent::reconcile() {
  if (!desired_) return;
  for (auto it = runs_.begin(); it != runs_.end();) {
    auto& [key, run] = *it;
    const auto order = desired_->find(key);
    if (order == desired_->end() && run.ended()) {
      host_.retire(key);
      it = runs_.erase(it);
      continue;
    }
    if (order == desired_->end()) {
      kill(key, run, Outcome::killed, "the scheduler no longer wants this run");
    } else if (!run.ended()) {
      stop(run, order->second);
    }
    ++it;
  }
  // What an earlier connection wanted may run on another worker by now.
  if (!desired_is_current_) return;
  for (const auto& [key, order] : *desired_) {
    if (runs_.size() >= limits::kRunsTold) return;  // until some of the past are retired
    if (!runs_.contains(key) && !fenced(key) && !older_epoch_lives(key)) start(order);
  }
}

void Agent::start(const RunOrder& order) {
  if (jobs_folder_changed()) return;
  const RunKey key = key_of(order.config);
  const Millis now = host_.boot_ms();
  Run& run = runs_.emplace(key, new_run(key, lease_until_boot_ms_, now)).first->second;
  const std::string& device = order.config.device;
  run.status.device = device == "cpu" ? device_label(device, 0) : device;
  if (order.stop != RunOrder::Stop::none) {
    end(run, Outcome::killed, "was not running here when it was asked to stop");
    return;
  }
  if (!order.problem.empty()) {
    end(run, Outcome::spawn_failed, "this worker does not understand its order: " + order.problem);
    return;
  }
  RunConfig config = order.config;
  config.job_dir = config_.jobs_dir + "/" + key.job.str();
  config.cache_dir = config_.cache_dir;
  if (config.device == "cpu") config.threads = config_.threads_per_rank;
  const Status started = host_.start(config, run.lease_until_boot_ms);
  if (started.ok()) return;
  const bool full = started.error().code == Code::resource_exhausted;
  end(run, full ? Outcome::storage_full : Outcome::spawn_failed, started.error().message);
}

void Agent::stop(Run& run, const RunOrder& order) {
  const RunKey key = key_of(order.config);
  if (order.stop == RunOrder::Stop::kill) kill(key, run, Outcome::killed, "asked to stop");
  if (order.stop != RunOrder::Stop::checkpoint || run.leave_asked_boot_ms != 0) return;
  run.leave_asked_boot_ms = host_.boot_ms();
  host_.ask_to_leave(key);
}

void Agent::kill(const RunKey& key, Run& run, Outcome why, const std::string& detail) {
  const Millis now = host_.boot_ms();
  if (run.kill_asked_boot_ms != 0 && now - run.kill_asked_boot_ms < kKillAgain) return;
  run.kill_asked_boot_ms = now;
  host_.kill(key, why, detail);
}

// A rank that could report and does not has hung. One without a lease does not train and reports
// nothing, as the contract wants it.
void Agent::watch_for_hang(const RunKey& key, Run& run) {
  const Millis now = host_.boot_ms();
  if (now > run.lease_until_boot_ms) run.last_line_boot_ms = now;
  if (run.kill_asked_boot_ms != 0 || now - run.last_line_boot_ms <= config_.hang_timeout_ms) return;
  const std::string threads = host_.dump_threads(key);
  kill(key, run, Outcome::hang,
       "no report for " + format_duration(now - run.last_line_boot_ms) + "; " + threads);
}

void Agent::end(Run& run, Outcome outcome, const std::string& detail) {
  run.status.phase = RunStatus::Phase::ended;
  run.status.outcome = outcome;
  run.status.detail = detail.substr(0, kDetail);
  heartbeat_due_ = true;
}

void Agent::on_exit(const RunKey& key, Outcome outcome, const std::string& detail) {
  const auto run = runs_.find(key);
  if (run == runs_.end() || run->second.ended()) return;
  end(run->second, outcome, detail);
  reconcile();  // another epoch may have waited for this one
}

void Agent::tick() {
  const Millis now = host_.boot_ms();
  reconcile();
  for (auto& [key, run] : runs_) {
    if (run.ended()) continue;
    watch_for_hang(key, run);
    const bool overdue =
        run.leave_asked_boot_ms != 0 && now - run.leave_asked_boot_ms > limits::kStopGrace;
    if (overdue) kill(key, run, Outcome::killed, "did not leave in time");
  }
  if (link_ == Link::up && (heartbeat_due_ || now - heartbeat_boot_ms_ >= heartbeat_ms_))
    send_heartbeat();
}

void Agent::send_heartbeat() {
  const Millis now = host_.boot_ms();
  Heartbeat heartbeat{.number = ++heartbeat_number_, .devices = {}, .runs = statuses()};
  if (devices_changed_) heartbeat.devices = config_.inventory.devices;
  unanswered_.emplace_back(heartbeat.number, now);
  if (unanswered_.size() > kUnanswered) unanswered_.pop_front();
  outbox_.emplace_back(std::move(heartbeat));
  heartbeat_boot_ms_ = now;
  heartbeat_due_ = devices_changed_ = false;
}

Millis Agent::next_tick_boot_ms() const {
  const Millis now = host_.boot_ms();
  if (link_ != Link::up) return now + kTick;
  return heartbeat_due_ ? now : std::min(now + kTick, heartbeat_boot_ms_ + heartbeat_ms_);
}

void Agent::set_devices(std::vector<Device> devices) {
  if (devices == config_.inventory.devices) return;
  config_.inventory.devices = std::move(devices);
  devices_changed_ = true;
}

bool Agent::jobs_folder_changed() {
  std::string now = host_.jobs_folder();
  const bool same = now == config_.inventory.jobs_folder;
  config_.inventory.jobs_folder = std::move(now);
  return folder_changed_ = folder_changed_ || !same;
}

bool Agent::fenced(const RunKey& key) const {
  const auto newest = newest_epoch_.find(key.job);
  return newest != newest_epoch_.end() && newest->second > key.epoch;
}

bool Agent::older_epoch_lives(const RunKey& key) const {
  for (auto it = runs_.lower_bound({key.job, Epoch{}, 0}); it != runs_.end(); ++it) {
    if (it->first.job != key.job || it->first.epoch >= key.epoch) return false;
    if (!it->second.ended()) return true;
  }
  return false;
}

std::vector<RunStatus> Agent::statuses() const {
  std::vector<RunStatus> all;
  all.reserve(runs_.size());
  const size_t share = runs_.empty() ? 0 : std::min(kDetail, kDetails / runs_.size());
  for (const auto& [key, run] : runs_) {
    all.push_back(run.status);
    std::string& detail = all.back().detail;
    if (detail.size() > share) detail = cut_utf8(detail, share);
  }
  return all;
}

std::vector<ToScheduler> Agent::take_outbox(size_t most) {
  const auto end = outbox_.begin() + static_cast<std::ptrdiff_t>(std::min(most, outbox_.size()));
  std::vector<ToScheduler> taken(std::make_move_iterator(outbox_.begin()),
                                 std::make_move_iterator(end));
  outbox_.erase(outbox_.begin(), end);
  return taken;
}

}  // namespace llmctl::worker
