#include "scheduler/heart/index.h"

#include <algorithm>

#include "core/base/limits.h"
#include "scheduler/heart/state.h"

namespace llmctl {

QueueKey queue_key(const Job& job) {
  return {-job.priority, job.id};
}

// The jobs folder that a job has to go on in.
static std::string folder_of(const Job& job) {
  if (!job.checkpoints.empty()) return job.checkpoints.back().commit.folder;
  return job.inherited.empty() ? "" : job.inherited.back().checkpoint.folder;
}

Need need_of(const Job& job) {
  const ResourceSpec& resources = job.spec->resources;
  Need need;
  need.cap = resources.memory;
  need.device = resources.device;
  need.device_name = resources.device_name;
  need.folder = folder_of(job);
  need.probe = !job.fitted;
  if (need.probe) {
    need.fit_key = job.fit_key;
  } else {
    need.ranks = resources.ranks;
    const Plan& plan = job.plan;
    need.peak = plan.peak_bytes_measured > 0 ? plan.peak_bytes_measured : plan.peak_bytes_predicted;
  }
  need.floor = job.bytes_floor;
  return need;
}

static bool in_queue(const Job& job) {
  return job.state == JobState::queued && !job.attempt;
}

void Index::add(const Job& job) {
  if (in_queue(job)) {
    std::set<QueueKey>& group = queue[need_of(job)];
    const QueueKey key = queue_key(job);
    if (!group.empty()) heads.erase(*group.begin());
    group.insert(key);
    heads.insert(*group.begin());
  }
  if (job.state == JobState::recovering) recovering.insert(job.id);
  if (!job.spec.problem().empty() && !is_terminal(job.state)) not_understood.insert(job.id);
  if (!job.attempt) return;
  live.insert(job.id);
  if (job.attempt->stop_checkpoint) leaving.insert(job.id);
  if (job.attempt->kind == AttemptKind::probe) ++probing[job.fit_key];
}

void Index::remove(const Job& job) {
  if (in_queue(job)) {
    const auto group = queue.find(need_of(job));
    heads.erase(*group->second.begin());
    group->second.erase(queue_key(job));
    if (group->second.empty()) {
      queue.erase(group);
    } else {
      heads.insert(*group->second.begin());
    }
  }
  recovering.erase(job.id);
  not_understood.erase(job.id);
  if (!job.attempt) return;
  live.erase(job.id);
  leaving.erase(job.id);
  if (job.attempt->kind == AttemptKind::probe) {
    const auto count = probing.find(job.fit_key);
    if (--count->second == 0) probing.erase(count);
  }
}

void Index::promise(JobId job, const Grant& grant) {
  WorkerLoad& load = loads[grant.worker];
  load.ranks.emplace(job, grant.rank);
  Promised& promised = load.devices[{grant.device_kind, grant.device_index}];
  promised.bytes += grant.bytes;
  ++promised.ranks;
}

void Index::release(JobId job, const Grant& grant) {
  WorkerLoad& load = loads.at(grant.worker);
  load.ranks.erase({job, grant.rank});
  const auto promised = load.devices.find({grant.device_kind, grant.device_index});
  promised->second.bytes -= grant.bytes;
  if (--promised->second.ranks == 0) load.devices.erase(promised);
  if (load.ranks.empty()) loads.erase(grant.worker);
}

static TypedDevice typed(const Worker& worker, const Device& device) {
  return {-usable_bytes(device), worker.id, {device.kind, device.index}};
}

void Index::add(const Worker& worker) {
  update_open(worker);
  if (!worker.held.empty()) held.insert(worker.id);
  if (worker.lost) return;
  for (const Device& device : worker.inventory.devices) {
    types[device_type(device)].insert(typed(worker, device));
  }
}

void Index::remove(const Worker& worker) {
  open.erase(worker.id);
  held.erase(worker.id);
  if (worker.lost) return;
  for (const Device& device : worker.inventory.devices) {
    const auto type = types.find(device_type(device));
    if (type == types.end()) continue;  // the same device twice in one inventory
    type->second.erase(typed(worker, device));
    if (type->second.empty()) types.erase(type);
  }
}

void Index::update_open(const Worker& worker) {
  open.erase(worker.id);
  if (worker.lost || worker.draining || !worker.connected || !worker.held.empty()) return;
  const auto load = loads.find(worker.id);
  if (load != loads.end() && load->second.ranks.size() >= limits::kRunsPerWorker) return;
  for (const Device& device : worker.inventory.devices) {
    if (!device.healthy || has_leftovers(worker, device)) continue;
    Promised promised;
    if (load != loads.end()) {
      const auto found = load->second.devices.find({device.kind, device.index});
      if (found != load->second.devices.end()) promised = found->second;
    }
    const Bytes free = device.memory_total - device.memory_foreign - promised.bytes;
    if (promised.ranks < device.slots && free > 0) open.insert(worker.id);
  }
}

}  // namespace llmctl
