// What worker and scheduler say to each other, as plain values: the agent speaks these, link.cc
// turns them into protobuf. Level-triggered: a Heartbeat names every run, a Desired every wanted
// run, so a lost or repeated message does no harm. Times are on the boot clock.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/run/event.h"
#include "core/run/inventory.h"
#include "core/run/run_config.h"
#include "core/run/run_status.h"
#include "worker/contract/run_key.h"

namespace llmctl::worker {

// ---- worker -> scheduler
struct Hello {
  std::string name;      // stable across restarts
  std::string instance;  // new in every worker process
  Inventory inventory;
  std::vector<RunStatus> runs;
  std::string cluster_id;  // of the last Welcome; empty: none yet
  Millis made_boot_ms = 0;
};
struct Heartbeat {
  int64_t number = 0;
  std::vector<Device> devices;  // empty: unchanged
  std::vector<RunStatus> runs;  // all of them
};
struct RunReport {
  RunKey run;
  RankReport report;
};
struct LogData {
  int64_t request = 0;
  std::string data;
  bool end = false;
  std::string error;
};
using ToScheduler = std::variant<Hello, Heartbeat, RunReport, LogData>;

// ---- scheduler -> worker, and what the link itself has to say
struct Dialing {};  // a new stream: the next message must be a Hello
struct Disconnected {
  std::string detail;
};
struct Welcome {
  WorkerId worker;
  Millis lease_ms = 0, heartbeat_ms = 0;
  std::string cluster_id;
};
struct HeartbeatAck {
  int64_t number = 0;
};
struct RunOrder {
  RunConfig config;
  enum class Stop { none, checkpoint, kill } stop = Stop::none;
  // Why the config cannot be read, but for job, epoch and rank; empty: it can.
  std::string problem{};
};
struct Desired {
  std::vector<RunOrder> runs;  // everything that should run here
  int32_t part = 0;            // as it comes over the link, which joins the parts
  bool more = false;
};
struct LogRead {
  int64_t request = 0;
  RunKey run;
  int64_t tail_bytes = 0;  // 0: from the beginning
  bool follow = false;
  bool cancel = false;
};
using FromScheduler = std::variant<Dialing, Disconnected, Welcome, HeartbeatAck, Desired, LogRead>;

}  // namespace llmctl::worker
