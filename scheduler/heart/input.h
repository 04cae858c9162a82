// Inputs: everything that can reach the heart. Converted from gRPC by the edges, pushed into the
// loop's queue, decided one at a time. `now` travels with the input; the heart reads no clock.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/run/event.h"
#include "core/run/run_status.h"

namespace llmctl {

// ---- from people
struct SubmitInput {
  SharedSpec spec;
  std::string idempotency_key;
  JobId retry_of;                              // a job that has left State
  std::vector<InheritedCheckpoint> inherited;  // what it left, oldest first
  // Filled by the loop from the store when the key belongs to a job that already left State.
  std::optional<JobId> finished_twin;
  bool finished_twin_same_spec = false;
};
struct CancelInput {
  JobId job;
};
struct PauseInput {
  JobId job;
};
struct ResumeInput {
  JobId job;
};
struct PriorityInput {
  JobId job;
  int64_t priority = 0;  // 0 to 100
};
struct DrainInput {
  std::string worker;
  bool drain = true;
};

struct ForgetInput {
  std::string worker;  // a lost one
};

// ---- from workers
struct HelloInput {
  std::string name, instance;
  Inventory inventory;
  std::vector<RunStatus> runs;
  Millis made_boot_ms = 0;  // on the worker's own clock
  std::string address{};    // of its end of the connection, for people
};
struct HeartbeatInput {
  WorkerId worker;
  std::string instance;
  std::vector<Device> devices;  // empty: unchanged
  std::vector<RunStatus> runs;  // all of them
};
struct DisconnectInput {
  WorkerId worker;
  std::string instance;
};
// Something a rank said between heartbeats. Repeats are harmless.
struct ReportInput {
  WorkerId worker;
  JobId job;
  Epoch epoch;
  int32_t rank = 0;
  RankReport report;
};

struct TickInput {
  // Since when the scheduler has run without a long gap (a stopped process, a machine that slept):
  // what others did not say before that it could not have heard.
  Millis awake_since_boot_ms = 0;
};

using InputBody = std::variant<SubmitInput,
                               CancelInput,
                               PauseInput,
                               ResumeInput,
                               PriorityInput,
                               DrainInput,
                               ForgetInput,
                               HelloInput,
                               HeartbeatInput,
                               DisconnectInput,
                               ReportInput,
                               TickInput>;

struct Input {
  Millis boot_ms = 0;
  Millis unix_ms = 0;
  InputBody body;
};

}  // namespace llmctl
