// What the scheduler answered, as plain values: the only thing rendering and documents know.
// client.cc fills it from the wire; tests fill it by hand. States stay text, so that an older
// llmctl can still show a newer scheduler's jobs. Sizes are bytes, times milliseconds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/plan/plan.h"
#include "core/run/event.h"
#include "core/run/inventory.h"

namespace llmctl {

struct RankView {
  int32_t rank = 0;
  std::string worker, device;  // "w1", "cpu:0"
  Bytes bytes = 0;
  bool up = false, gone = false;
  std::string outcome;
  int64_t pid = 0;
};

struct CheckpointView {
  CheckpointCommitted commit;
  int64_t epoch = 0;
};

struct JobView {
  int64_t id = 0;
  std::string name, state, reason, detail;
  int64_t priority = 0, attempts = 0, restarts = 0, epoch = 0, retry_of = 0;
  std::string spec_json;
  Plan plan;
  Progressed progress;
  std::vector<CheckpointView> checkpoints;  // oldest first
  std::optional<SampleGenerated> sample;    // the newest
  std::vector<RankView> ranks;
  Millis submitted_unix_ms = 0, started_unix_ms = 0, moved_unix_ms = 0;
  double eta_seconds = 0;  // 0: unknown
  int64_t last_seq = 0;
};
bool is_done(const JobView& job);  // in a final state

struct DeviceView {
  Device device;
  Bytes promised = 0;
  int32_t slots_used = 0;
};

struct WorkerView {
  int64_t id = 0;
  std::string name, state;  // ready | draining | drained | disconnected | lost
  std::string hostname, version;
  int32_t cpus = 0;
  Bytes ram_total = 0;
  std::vector<DeviceView> devices;
  Millis seen_ms_ago = 0;
  std::vector<int64_t> job_ids;
};

struct ExplanationView {
  std::string headline;
  std::vector<std::string> evidence;
  std::string next_step;
};

struct PlanView {
  std::vector<Plan> candidates;
  Plan chosen;
  bool from_profile = false;
  int64_t parameters = 0;
  double flops_per_token = 0;
  std::vector<Grant> placement;  // empty: it would wait
  ExplanationView explanation;
};

struct PointView {
  int64_t step = 0;
  Millis unix_ms = 0;
  double value = 0;
};
struct SeriesView {
  std::string name;
  std::vector<PointView> points;
};

struct SubmittedView {
  int64_t id = 0;
  std::string state;
  bool existed = false;  // the idempotency key was known
};

struct ServerView {
  std::string version;
  Millis started_unix_ms = 0;
  int64_t last_seq = 0, jobs_live = 0, workers_connected = 0, last_job_id = 0;
  int32_t metrics_port = 0;
};

}  // namespace llmctl
