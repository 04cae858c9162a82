#include "sim_worker.h"

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "world.h"

namespace llmctl::sim {
namespace {

constexpr Millis kLease = 3'000 - 600;  // the worker's view is shorter than the scheduler's
constexpr Millis kHeartbeat = 300;
constexpr Millis kSilence = 1'500;  // then the connection is given up
constexpr Millis kForget = 10'000;

RunKey key_of(const RunConfig& config) {
  return {JobId{config.job_id}, Epoch{config.epoch}, config.rank};
}

}  // namespace

SimWorker::SimWorker(World& world, std::string name, Inventory inventory)
    : world_(world), name_(std::move(name)), inventory_(std::move(inventory)) {}

bool SimWorker::works(const SimRun& run) const {
  return run.alive() && run.status.phase == RunStatus::Phase::up && world_.now() <= run.lease_until;
}

void SimWorker::step() {
  for (auto& [key, run] : runs_) step_run(run);
  if (!agent_up_) {
    agent_up_ = world_.now() >= agent_back_at_;
    return;
  }
  if (dialed_ && world_.now() - heard_at_ > kSilence) hang_up();
  if (!dialed_) dial();
  if (!link_.cut) {
    for (auto& [connection, message] : link_.down.receive(world_.now())) {
      if (connection == link_.connection && dialed_) receive(message);
    }
  }
  if (desired_) {
    std::vector<RunOrder> orders;
    for (const auto& [key, order] : *desired_) orders.push_back(order);
    follow(orders);
  }
  if (!welcomed_ || world_.now() < beat_at_) return;
  beat_at_ = world_.now() + kHeartbeat;
  unanswered_[++beat_] = world_.now();
  send(Heartbeat{beat_, statuses()});
  if (world_.random().one_in(20)) send(Heartbeat{beat_, statuses()});  // said twice
}

void SimWorker::dial() {
  if (link_.cut || !world_.scheduler().up()) return;
  dialed_ = true;
  welcomed_ = heard_desired_ = false;
  dialed_at_ = heard_at_ = world_.now();
  unanswered_.clear();
  ++link_.connection;
  send(HelloInput{name_, instance(), inventory_, statuses()});
}

void SimWorker::hang_up() {
  dialed_ = welcomed_ = false;
}

void SimWorker::receive(const ToWorker& message) {
  heard_at_ = world_.now();
  if (const auto* welcome = std::get_if<Welcome>(&message)) {
    id_ = welcome->worker;
    welcomed_ = true;
    beat_at_ = world_.now();
    renew(dialed_at_ + kLease, false);
    for (auto& [key, run] : runs_) {
      for (const auto& fact : run.facts) send(ReportInput{id_, key.job, key.epoch, key.rank, fact});
      for (const auto& gone : run.removals) {
        send(ReportInput{id_, key.job, key.epoch, key.rank, gone});
      }
    }
  } else if (const auto* ack = std::get_if<Ack>(&message)) {
    const auto sent = unanswered_.find(ack->number);
    // A lapsed lease comes back only after this connection has said what is wanted.
    if (sent != unanswered_.end()) renew(sent->second + kLease, heard_desired_);
  } else if (const auto* orders = std::get_if<std::vector<RunOrder>>(&message)) {
    heard_desired_ = true;
    desired_.emplace();
    for (const RunOrder& order : *orders) desired_->emplace(key_of(order.config), order);
    follow(*orders);
  } else {
    hang_up();
  }
}

void SimWorker::renew(Millis until, bool thaw) {
  if (world_.now() <= lease_until_ || thaw || heard_desired_ || welcomed_) {
    lease_until_ = std::max(lease_until_, until);
  }
  for (auto& [key, run] : runs_) {
    const bool lapsed = world_.now() > run.lease_until;
    const bool wanted = desired_ && desired_->contains(key) && !run.dies_at;
    if (!run.alive() || (lapsed && !(thaw && wanted))) continue;
    run.lease_until = std::max(run.lease_until, until);
  }
}

void SimWorker::follow(const std::vector<RunOrder>& orders) {
  for (auto run = runs_.begin(); run != runs_.end();) {
    const bool wanted = desired_->contains(run->first);
    if (!wanted && !run->second.alive()) {
      run = runs_.erase(run);
      continue;
    }
    if (!wanted && !run->second.dies_at) {
      run->second.dies_at = world_.now() + world_.random().between(0, 200);
    }
    ++run;
  }
  if (!heard_desired_) return;  // as Agent: only this connection's wishes are started
  for (const RunOrder& order : orders) {
    const RunKey key = key_of(order.config);
    const auto run = runs_.find(key);
    if (run == runs_.end()) {
      bool older = false;
      for (const auto& [other, old] : runs_) {
        older = older || (other.job == key.job && other.epoch < key.epoch && old.alive());
      }
      if (!older) start(order);
    } else if (order.stop == RunOrder::Stop::kill && !run->second.dies_at) {
      run->second.dies_at = world_.now() + world_.random().between(0, 200);
    } else if (order.stop == RunOrder::Stop::checkpoint) {
      run->second.leave = true;
    }
  }
}

void SimWorker::start(const RunOrder& order) {
  const RunKey key = key_of(order.config);
  SimRun& run = runs_[key];
  run.config = order.config;
  run.status.job = key.job;
  run.status.epoch = key.epoch;
  run.status.rank = key.rank;
  run.status.device = device_label(order.config.device, 0);
  run.lease_until = lease_until_;
  run.next_at = world_.now() + world_.random().between(50, 400);
  world_.say(name_, "starts job " + key.job.str() + " e" + key.epoch.str());
  if (order.stop != RunOrder::Stop::none) end(run, Outcome::killed);
}

void SimWorker::send(ToScheduler message) {
  const Millis delay = world_.random().between(0, link_.slowness_ms);
  link_.up.send(link_.connection, world_.now() + delay, std::move(message));
}

std::vector<RunStatus> SimWorker::statuses() const {
  std::vector<RunStatus> all;
  for (const auto& [key, run] : runs_) all.push_back(run.status);
  return all;
}

void SimWorker::crash_agent() {
  agent_up_ = false;
  agent_back_at_ = world_.now() + world_.random().between(100, kForget);
  hang_up();
  desired_.reset();
  lease_until_ = 0;
  ++instance_;
}

void SimWorker::crash_machine(bool disk_too) {
  crash_agent();
  for (auto& [key, run] : runs_) {
    if (run.alive()) end(run, Outcome::crashed);
  }
  if (disk_too) runs_.clear();
}

void SimWorker::heal() {
  link_.cut = false;
  link_.slowness_ms = 20;
  agent_back_at_ = std::min(agent_back_at_, world_.now());
}

}  // namespace llmctl::sim
