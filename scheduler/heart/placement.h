// Placement: workers x job -> a grant for every rank, or why not, per worker. Pure. A rank asks for
// bytes and one slot of a device; a probe asks for all that its device could give. Ranks of a gang
// share a CPU but never a GPU, and need one jobs folder, as a job does that has checkpoints. A job
// whose device is `auto` runs on CUDA where there is any.
#pragma once

#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/plan/plan_search.h"
#include "scheduler/heart/decide.h"

namespace llmctl {

// Why one worker (or device) cannot take the job now. `explain`, metrics and tests read the same.
struct Refusal {
  WorkerId worker;
  enum class Why {
    lost,
    draining,
    disconnected,
    no_such_device,
    unhealthy,
    held,
    leftovers,
    memory,
    slots,
    folder  // has not the jobs folder that the job's checkpoints lie in
  } why;
  Bytes need = 0, have = 0;  // memory: bytes; slots: ranks
  bool for_ever = false;     // would not fit even an empty device
  bool operator==(const Refusal&) const = default;
};
using Placement = std::variant<std::vector<Grant>, std::vector<Refusal>>;

// A place for all ranks of the job's next attempt (probe when not fitted), or every refusal.
// Prefers one worker, then the tightest fit, then the lowest id.
Placement place(const State& state, const Job& job, const SchedulerConfig& config);

// What devices could give, for a scheduling pass: each grant makes it less.
class Supply {
 public:
  // Of the workers that may take ranks, less `without`. `empty`: as if nothing were promised.
  Supply(const State& state, const std::set<WorkerId>& without, bool empty);
  // All ranks of the job, or none.
  std::optional<std::vector<Grant>> take(const Job& job, const SchedulerConfig& config);
  bool nothing_left() const { return offers_.empty(); }
  void withhold(const std::vector<Grant>& grants);  // the devices that they are on

 private:
  struct Offer {
    const Worker* worker;
    const Device* device;
    Bytes usable, free;  // of an empty device; now
    int32_t slots;       // left
  };
  struct Room {  // for ranks of one job on one offer
    size_t offer;
    Bytes ask;  // for each
    int64_t ranks;
  };
  friend class PlaceRefusals;

  // What one of them needs, once for each jobs folder that all ranks could share.
  std::vector<Need> by_folder(const Job& job) const;
  std::vector<Room> rooms(const Need& need, const SchedulerConfig& config) const;
  std::optional<std::vector<Grant>> take(const Need& need, const SchedulerConfig& config);
  void give(const Room& room, int64_t ranks, std::vector<Grant>& grants);

  const State& state_;
  std::vector<Offer> offers_;  // by worker, then as in its inventory
};

// The device types that a job may run on, and what one of its ranks may use there: now, on the
// roomiest one, and on one that nobody else uses.
struct DeviceType {
  std::string name;
  SearchRoom room;
  Bytes most = 0;
};
std::vector<DeviceType> matching_types(const State& state, const Job& job);

// False: not even one rank would fit an empty device of any worker that is not lost.
bool may_ever_fit(const State& state, const Job& job, const SchedulerConfig& config);

}  // namespace llmctl
