#include "scheduler/heart/placement.h"

#include <algorithm>

#include "core/base/limits.h"
#include "scheduler/heart/fit.h"

namespace llmctl {
namespace {

bool has_folder(const Need& need, const Worker& worker) {
  return need.folder.empty() || need.folder == worker.inventory.jobs_folder;
}

// `auto` means CUDA where there is any, now.
std::string kind_of(const State& state, const Need& need) {
  if (need.device != "auto") return need.device;
  const auto& types = state.index.types;
  for (auto type = types.lower_bound("cuda/"); type != types.end(); ++type) {
    if (!type->first.starts_with("cuda/")) break;
    for (const TypedDevice& device : type->second) {
      if (has_folder(need, state.workers.at(device.worker))) return "cuda";
    }
  }
  return "cpu";
}

bool suits(const Need& need, const std::string& kind, const Device& device) {
  if (device.kind != kind) return false;
  return need.device_name.empty() || device.name.find(need.device_name) != std::string::npos;
}

// The most that a rank may have on a device with so much usable.
Bytes cap_of(const Need& need, Bytes usable) {
  return need.cap > 0 ? std::min(need.cap, usable) : usable;
}

// What a rank asks of a device with so much usable; 0: even the empty device is too small.
Bytes ask_of(const Need& need, Bytes usable, const SchedulerConfig& config) {
  const Bytes cap = cap_of(need, usable);
  if (need.probe) return cap > need.floor ? cap : 0;
  const Bytes least = with_headroom(need.peak, config);
  return least > cap ? 0 : std::min(std::max(least, need.floor), cap);
}

}  // namespace

Supply::Supply(const State& state, const std::set<WorkerId>& without, bool empty) : state_(state) {
  const auto add = [&](const Worker& worker) {
    if (worker.lost || worker.draining || !worker.connected || !worker.held.empty() ||
        without.contains(worker.id))
      return;
    for (const Device& device : worker.inventory.devices) {
      if (!device.healthy || has_leftovers(worker, device)) continue;
      Offer offer{&worker, &device, usable_bytes(device), usable_bytes(device), device.slots};
      if (!empty) {
        const Promised used = promised(state, worker.id, device);
        offer.free -= used.bytes;
        offer.slots -= used.ranks;
      }
      if (offer.slots > 0 && offer.free > 0) offers_.push_back(offer);
    }
  };
  if (empty) {
    for (const auto& [id, worker] : state.workers) add(worker);
  } else {
    for (const WorkerId id : state.index.open) add(state.workers.at(id));
  }
}

std::vector<Supply::Room> Supply::rooms(const Need& need, const SchedulerConfig& config) const {
  std::vector<Room> found;
  const std::string kind = kind_of(state_, need);
  for (size_t i = 0; i < offers_.size(); ++i) {
    const Offer& offer = offers_[i];
    if (!suits(need, kind, *offer.device) || !has_folder(need, *offer.worker)) continue;
    const Bytes ask = ask_of(need, offer.usable, config);
    if (ask <= 0 || ask > offer.free || offer.slots <= 0) continue;
    const int64_t most = offer.device->kind == "cuda" ? 1 : offer.free / ask;
    found.push_back({i, ask, std::min<int64_t>(most, offer.slots)});
  }
  return found;
}

void Supply::give(const Room& room, int64_t ranks, std::vector<Grant>& grants) {
  Offer& offer = offers_[room.offer];
  for (int64_t i = 0; i < ranks; ++i) {
    grants.push_back({static_cast<int32_t>(grants.size()), offer.worker->id, offer.device->index,
                      offer.device->kind, room.ask, offer.worker->name});
    offer.free -= room.ask;
    --offer.slots;
  }
}

std::vector<Need> Supply::by_folder(const Job& job) const {
  Need need = need_of(job);
  if (need.ranks == 1 || !need.folder.empty()) return {need};
  std::set<std::string> folders;
  for (const Offer& offer : offers_) folders.insert(offer.worker->inventory.jobs_folder);
  std::vector<Need> each;
  for (const std::string& folder : folders) {
    need.folder = folder;
    each.push_back(need);
  }
  return each;
}

std::optional<std::vector<Grant>> Supply::take(const Job& job, const SchedulerConfig& config) {
  for (const Need& need : by_folder(job)) {
    if (auto grants = take(need, config)) return grants;
  }
  return std::nullopt;
}

std::optional<std::vector<Grant>> Supply::take(const Need& need, const SchedulerConfig& config) {
  std::vector<Room> found = rooms(need, config);
  // Tightest first, so that large holes stay; equal ones by worker and device.
  std::stable_sort(found.begin(), found.end(), [&](const Room& a, const Room& b) {
    return offers_[a.offer].free < offers_[b.offer].free;
  });
  std::map<WorkerId, int64_t> capacity;
  int64_t total = 0;
  for (const Room& room : found) {
    capacity[offers_[room.offer].worker->id] += room.ranks;
    total += room.ranks;
  }
  if (total < need.ranks) return std::nullopt;

  // One worker if one is enough (the tightest such), else as few as possible.
  std::vector<std::pair<int64_t, WorkerId>> order;
  order.reserve(capacity.size());
  for (const auto& [worker, ranks] : capacity) {
    order.emplace_back(ranks >= need.ranks ? ranks : limits::kRanks + need.ranks - ranks, worker);
  }
  std::sort(order.begin(), order.end());
  std::vector<Grant> grants;
  for (const auto& [rank_order, worker] : order) {
    for (const Room& room : found) {
      if (offers_[room.offer].worker->id != worker) continue;
      const int64_t left = need.ranks - static_cast<int64_t>(grants.size());
      give(room, std::min(left, room.ranks), grants);
    }
  }
  return grants;
}

void Supply::withhold(const std::vector<Grant>& grants) {
  std::erase_if(offers_, [&](const Offer& offer) {
    return std::any_of(grants.begin(), grants.end(), [&](const Grant& grant) {
      return grant.worker == offer.worker->id && grant.device_kind == offer.device->kind &&
             grant.device_index == offer.device->index;
    });
  });
}

// Why each worker says no, when Supply::take() has found no place.
class PlaceRefusals {
 public:
  PlaceRefusals(const State& state, const Job& job, const SchedulerConfig& config)
      : state_(state), need_(need_of(job)), config_(config), kind_(kind_of(state, need_)) {
    const Supply supply(state, {}, false);
    for (const Need& need : supply.by_folder(job)) {
      int64_t rooms = 0;
      for (const Supply::Room& room : supply.rooms(need, config)) rooms += room.ranks;
      rooms_ = std::max(rooms_, rooms);
    }
  }

  std::vector<Refusal> all() && {
    for (const auto& [id, worker] : state_.workers) ask(worker);
    return std::move(refusals_);
  }

 private:
  using Why = Refusal::Why;

  void ask(const Worker& worker) {
    const size_t before = refusals_.size();
    for (const Device& device : worker.inventory.devices) {
      if (suits(need_, kind_, device)) ask(worker, device);
    }
    if (refusals_.size() == before)
      refusals_.push_back({worker.id, Why::no_such_device, 0, 0, true});
  }

  void ask(const Worker& worker, const Device& device) {
    const Bytes usable = usable_bytes(device);
    const Bytes whole = std::max(cap_of(need_, usable), need_.floor + 1);
    const Bytes least = need_.probe ? whole : with_headroom(need_.peak, config_);
    const Bytes ask = ask_of(need_, usable, config_);
    const Promised used = promised(state_, worker.id, device);
    const Bytes cap = cap_of(need_, device.memory_total);
    if (least > cap) {
      refusals_.push_back({worker.id, Why::memory, least, cap, true});
    } else if (!has_folder(need_, worker)) {
      refusals_.push_back({worker.id, Why::folder, 0, 0, false});
    } else if (worker.lost) {
      refusals_.push_back({worker.id, Why::lost, 0, 0, false});
    } else if (worker.draining) {
      refusals_.push_back({worker.id, Why::draining, 0, 0, false});
    } else if (!worker.connected) {
      refusals_.push_back({worker.id, Why::disconnected, 0, 0, false});
    } else if (!worker.held.empty()) {
      refusals_.push_back({worker.id, Why::held, 0, 0, false});
    } else if (!device.healthy) {
      refusals_.push_back({worker.id, Why::unhealthy, 0, 0, false});
    } else if (has_leftovers(worker, device)) {
      refusals_.push_back({worker.id, Why::leftovers, 0, 0, false});
    } else if (used.ranks >= device.slots) {
      refusals_.push_back({worker.id, Why::slots, 1, 0, false});
    } else if (ask <= 0 || ask > usable - used.bytes) {
      refusals_.push_back(
          {worker.id, Why::memory, std::max(ask, least), usable - used.bytes, false});
    } else {  // room for some ranks of the gang
      refusals_.push_back({worker.id, Why::slots, need_.ranks, rooms_, false});
    }
  }

  const State& state_;
  const Need need_;
  const SchedulerConfig& config_;
  const std::string kind_;
  int64_t rooms_ = 0;  // ranks that would find a place now, in one jobs folder
  std::vector<Refusal> refusals_;
};

Placement place(const State& state, const Job& job, const SchedulerConfig& config) {
  auto grants = Supply(state, {}, false).take(job, config);
  if (grants) return *std::move(grants);
  return PlaceRefusals(state, job, config).all();
}

std::vector<DeviceType> matching_types(const State& state, const Job& job) {
  const Need need = need_of(job);
  const std::string kind = kind_of(state, need);
  std::vector<DeviceType> matching;
  for (const auto& [name, devices] : state.index.types) {
    const TypedDevice& roomiest = *devices.begin();
    for (const Device& device : state.workers.at(roomiest.worker).inventory.devices) {
      const bool same = roomiest.name == DeviceName{device.kind, device.index};
      if (!same || !suits(need, kind, device)) continue;
      matching.push_back({name,
                          {cap_of(need, usable_bytes(device)), device.kind == "cpu"},
                          cap_of(need, device.memory_total)});
      break;
    }
  }
  return matching;
}

bool may_ever_fit(const State& state, const Job& job, const SchedulerConfig& config) {
  const Need need = need_of(job);
  for (const DeviceType& type : matching_types(state, job)) {
    if (ask_of(need, type.most, config) > 0) return true;
  }
  return false;
}

}  // namespace llmctl
