// State: everything the scheduler knows of live jobs and workers, as one value. Owned by the loop
// thread; changed only by apply(). Finished jobs leave it once their ranks are gone; the store
// keeps them. A restart folds the durable events of live jobs and of workers over an empty State.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/run/event.h"
#include "scheduler/heart/index.h"

namespace llmctl {

struct RankState {
  bool up = false;
  bool gone = false;
  Outcome outcome = Outcome::done;  // valid when gone
  std::string detail;
  int64_t pid = 0;
  bool operator==(const RankState&) const = default;
};

// A live attempt: from its grant until every rank is gone.
struct Attempt {
  Epoch epoch;
  AttemptKind kind = AttemptKind::train;
  Millis granted_boot_ms = 0;    // volatile: 0 on replay
  std::vector<Grant> grants;     // by rank
  std::vector<RankState> ranks;  // by rank
  bool stopping = false;
  bool stop_checkpoint = false;
  Reason stop_reason = Reason::none;
  Millis stop_since_boot_ms = 0;
  bool operator==(const Attempt&) const = default;
};

inline constexpr size_t kKnownCheckpoints = 1'024;  // of a job, the newest; its folder has all

struct JobCheckpoint {
  CheckpointCommitted commit;
  Epoch epoch;  // of the attempt that wrote it
  bool operator==(const JobCheckpoint&) const = default;
};

struct Job {
  JobId id;
  SharedSpec spec;
  std::string idempotency_key;
  JobId retry_of;
  JobState state = JobState::queued;
  Reason reason = Reason::submitted;
  std::string detail;
  int64_t priority = 50;
  bool fitted = false;  // has a plan to run
  std::string fit_key;  // profile_key() without a device: who may share a probe
  Plan plan;
  Bytes bytes_floor = 0;  // what a rank was granted when it ran out: the next one gets no less,
                          // the next probe more
  Epoch epoch;            // the last one granted
  int64_t attempts = 0;   // train attempts granted
  int64_t restarts = 0;   // counted against retry.max_restarts
  Millis not_before_boot_ms = 0;  // recovering
  Millis queued_boot_ms = 0;      // volatile: 0 on replay
  std::optional<Attempt> attempt;
  std::vector<InheritedCheckpoint> inherited;  // of the job this one retries, oldest first
  std::vector<JobCheckpoint> checkpoints;      // oldest first
  Progressed progress;
  std::optional<SampleGenerated> sample;  // the newest
  Millis submitted_unix_ms = 0, started_unix_ms = 0, moved_unix_ms = 0;
  bool operator==(const Job&) const = default;
};

struct Worker {
  WorkerId id;
  std::string name;
  std::string instance;
  Inventory inventory;
  bool draining = false;
  bool lost = false;
  Millis lost_unix_ms = 0;          // since when
  bool connected = false;           // volatile
  std::set<std::string> leftovers;  // volatile; as in WorkerSeen
  Greeting greeting;                // volatile; the newest
  Millis greeted_boot_ms = 0;       // volatile; when it came
  std::string held;                 // volatile; why nothing new is placed there; empty: it may be
  Millis held_boot_ms = 0;          // volatile; since when
  Millis seen_boot_ms = 0;          // volatile; State::started_boot_ms until the first heartbeat
  bool operator==(const Worker&) const = default;
};

inline constexpr size_t kProfiles = 10'000;  // shapes that have been measured; the newest are kept

struct Profile {
  Seq learned;  // the newest of its events; 0: before this start
  Bytes cap_bytes = 0;
  std::vector<ProbeResult> results;
  bool operator==(const Profile&) const = default;
};

struct State {
  std::map<JobId, Job> jobs;  // live: not terminal, or ranks not yet gone
  std::map<WorkerId, Worker> workers;
  std::map<std::string, WorkerId> worker_names;
  std::map<std::string, JobId> keys;        // idempotency keys of live jobs
  std::map<std::string, Profile> profiles;  // by profile_key()
  JobId last_job;
  WorkerId last_worker;
  Seq last_seq;
  std::string cluster_id;      // made with the store; never changes
  Millis started_boot_ms = 0;  // when this scheduler process began; volatile
  Index index;                 // derived
  bool operator==(const State&) const = default;
};

// Pure. Requires: durable events come in seq order; a JobMoved is legal (CHECK).
void apply(State& state, const Event& event);
// The same for one job by itself; what decide() uses to see its own events.
void apply(Job& job, const Event& event);

// Every invariant of design.md section 4 that can be seen in one State; empty: sound.
std::vector<std::string> sanity_problems(const State& state);

// Ranks of the past still run there: nothing may start until the worker says that they are gone.
bool has_leftovers(const Worker& worker, const Device& device);

Promised promised(const State& state, WorkerId worker, const Device& device);

}  // namespace llmctl
