// Events: the one vocabulary of what happened, for the store, `watch`, the audit log and the
// simulator. Facts, never wishes; appended in one transaction and applied to State in order.
// Durable events have a Seq and survive any crash; volatile ones (is_durable() == false) are
// applied and streamed but not stored: a worker tells them again when asked.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/ids.h"
#include "core/job/job_state.h"
#include "core/job/shared_spec.h"
#include "core/plan/plan.h"
#include "core/run/inventory.h"
#include "core/training/parameter_group.h"
#include "core/training/train_phase.h"

namespace llmctl {

enum class AttemptKind { probe, train };
enum class Outcome {
  done,  // the trainer finished what it was asked
  left,  // SIGTERM: checkpointed and left
  oom,
  crashed,
  hang,
  nonfinite,
  bad_input,
  checkpoint_lost,
  storage_full,
  spawn_failed,
  lost,    // its worker's lease and grace passed
  killed,  // we asked for it
};
const char* to_string(AttemptKind kind);
const char* to_string(Outcome outcome);
std::optional<Outcome> parse_outcome(std::string_view text);

// One rank's place: bytes of one device of one worker, promised until the rank is known to be gone.
struct Grant {
  int32_t rank = 0;
  WorkerId worker;
  int32_t device_index = 0;
  std::string device_kind;  // with device_index: names the device
  Bytes bytes = 0;
  std::string worker_name;  // for people; empty in events of older schedulers
  bool operator==(const Grant&) const = default;
};
std::string place_of(const Grant& grant);  // "w1 cpu:0"

struct CheckpointCommitted {
  int64_t step = 0;
  int64_t tokens = 0;
  std::string path;  // directory name inside the job's checkpoints folder
  Bytes bytes = 0;
  double loss = 0;            // training loss at that step
  std::string manifest_hash;  // hex XXH3-128 of manifest.json
  double seconds = 0;         // that training waited for it; 0: unknown
  std::string folder{};       // Inventory::jobs_folder where it lies; the scheduler adds it
  bool operator==(const CheckpointCommitted&) const = default;
};
struct InheritedCheckpoint {  // of an earlier job, which a retry may continue from
  JobId job;                  // in whose folder it lies
  CheckpointCommitted checkpoint;
  bool operator==(const InheritedCheckpoint&) const = default;
};
struct SampleGenerated {  // what the model makes of the job's sample_prompt; the newest is kept
  int64_t step = 0;
  std::string prompt, text;  // valid UTF-8, each at most limits::kSampleBytes
  bool operator==(const SampleGenerated&) const = default;
};

// ---- durable: jobs
struct JobSubmitted {
  SharedSpec spec;
  std::string idempotency_key;                 // empty: none
  JobId retry_of;                              // 0: none
  std::vector<InheritedCheckpoint> inherited;  // a retry's, oldest first
  bool operator==(const JobSubmitted&) const = default;
};
struct JobMoved {  // the only event that changes a job's state
  JobState from = JobState::queued, to = JobState::queued;
  Reason reason = Reason::none;
  std::string detail;     // evidence for people: "rank 1 on w1: signal 9"
  Millis backoff_ms = 0;  // recovering: how long to wait before queueing again
  bool operator==(const JobMoved&) const = default;
};
struct JobPlanned {  // the plan the next attempt will run
  Plan plan;
  bool operator==(const JobPlanned&) const = default;
};
struct PriorityChanged {
  int64_t priority = 0;
  bool operator==(const PriorityChanged&) const = default;
};

// ---- durable: attempts (job and epoch are in the envelope)
struct AttemptGranted {  // the dispatch transaction: the epoch is raised, devices are promised
  AttemptKind kind = AttemptKind::train;
  std::vector<Grant> grants;  // all ranks or none
  bool operator==(const AttemptGranted&) const = default;
};
struct AttemptStopping {    // we want it gone; grants stay promised until RankGone
  bool checkpoint = false;  // SIGTERM first, else SIGKILL
  Reason reason = Reason::none;
  bool operator==(const AttemptStopping&) const = default;
};
struct RankGone {  // the worker has seen the process end, or its lease and grace have passed
  int32_t rank = 0;
  Outcome outcome = Outcome::done;
  std::string detail;
  bool operator==(const RankGone&) const = default;
};
struct ProbeMeasured {
  std::string profile_key;
  std::vector<ProbeResult> results;
  Bytes cap_bytes = 0;  // the cap the probe ran under
  bool operator==(const ProbeMeasured&) const = default;
};
struct CheckpointRemoved {  // retention, or found corrupt
  std::string path;
  bool corrupt = false;
  bool operator==(const CheckpointRemoved&) const = default;
};

// ---- durable: workers (worker is in the envelope)
struct WorkerRegistered {
  std::string name;
  std::string instance;  // changes when the worker process restarts
  Inventory inventory;
  bool operator==(const WorkerRegistered&) const = default;
};
struct WorkerDrained {  // drain = true: no new ranks, running ones checkpoint and leave
  bool drain = true;
  bool operator==(const WorkerDrained&) const = default;
};
struct WorkerLost {  // lease and grace passed without a word
  std::string detail;
  bool operator==(const WorkerLost&) const = default;
};
struct WorkerForgotten {  // a lost one, by a user, or after limits::kWorkerMemory
  std::string name;
  bool operator==(const WorkerForgotten&) const = default;
};

// ---- volatile
struct Greeting {           // a hello
  std::string address;      // of the worker's end of the connection
  Millis made_boot_ms = 0;  // on the worker's own clock
  bool operator==(const Greeting&) const = default;
};
struct WorkerSeen {  // a hello or a heartbeat, at the envelope's boot_ms
  bool connected = true;
  std::vector<Device> devices;  // empty: unchanged
  // Where ranks still run that nobody wants any more, by device_label(); empty text: anywhere here.
  std::set<std::string> leftovers;
  std::optional<Greeting> greeting{};  // of a hello; not streamed
  bool operator==(const WorkerSeen&) const = default;
};
// Nothing new is placed there for a while: what it lacks is the machine's, not the job's.
struct WorkerHeld {
  std::string detail;  // empty: it is tried again
  bool operator==(const WorkerHeld&) const = default;
};
struct RankUp {  // the rank's trainer runs and has said so
  int32_t rank = 0;
  int64_t pid = 0;
  bool operator==(const RankUp&) const = default;
};
struct Progressed {
  int64_t step = 0, steps = 0;  // steps: planned total; 0: unknown
  int64_t tokens = 0;
  double loss = 0, eval_loss = 0;  // NaN: none yet
  double learning_rate = 0, grad_norm = 0;
  double tokens_per_second = 0, seconds_per_step = 0;
  Bytes peak_bytes = 0;
  int64_t nonfinite_steps = 0;
  std::string phase;             // "train", "eval", "tokenize 40%", "checkpoint" …
  double mfu = 0;                // model FLOPs over what the devices can do in the time; 0: unknown
  PhaseSeconds phase_seconds{};  // of rank 0, since the attempt began
  int64_t train_tokens = 0;      // of the data, one epoch; 0: unknown
  double unigram_entropy = 0;  // nats per training token: the loss without any context; 0: unknown
  GroupNorms group_grad_norms{};  // 0: the model has not this group; NaN: not finite
  int64_t loss_spikes = 0;        // losses far above the ones before, since the first step
  bool operator==(const Progressed&) const = default;
};

// What a rank tells between heartbeats; repeats are harmless.
using RankReport =
    std::variant<Progressed, CheckpointCommitted, CheckpointRemoved, SampleGenerated>;

using EventBody = std::variant<JobSubmitted,
                               JobMoved,
                               JobPlanned,
                               PriorityChanged,
                               AttemptGranted,
                               AttemptStopping,
                               RankGone,
                               ProbeMeasured,
                               CheckpointCommitted,
                               CheckpointRemoved,
                               SampleGenerated,
                               WorkerRegistered,
                               WorkerDrained,
                               WorkerLost,
                               WorkerForgotten,
                               WorkerSeen,
                               WorkerHeld,
                               RankUp,
                               Progressed>;

struct Event {
  Seq seq;             // 0 for volatile events
  Millis unix_ms = 0;  // when it was decided, for people
  Millis boot_ms = 0;  // the same on the scheduler's boot clock; not stored, 0 on replay
  JobId job;           // 0: not about a job
  Epoch epoch;         // 0: not about an attempt
  WorkerId worker;     // 0: not about a worker
  EventBody body;
  bool operator==(const Event&) const = default;
};

bool is_durable(const Event& event);
const char* event_name(const Event& event);  // "JobSubmitted" …
std::string describe(const Event& event);    // one plain line for `show` and `watch`

}  // namespace llmctl
