// Loop: the worker's one thread. It waits for the link, the run directories, signals and timers,
// tells the agent what happened, and carries out what the agent answers. Everything it holds is
// touched by this thread only.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "worker/agent/agent.h"
#include "worker/devices/inventory.h"
#include "worker/link/link.h"
#include "worker/metrics/metrics.h"
#include "worker/runs/local_host.h"
#include "worker/runs/log_reader.h"

namespace llmctl::worker {

// Borrowed parts; they outlive the loop.
struct LoopParts {
  const Clock& clock;
  LocalHost& host;
  Agent& agent;
  SchedulerLink& link;
  DeviceReader& devices;
  WorkerMetrics& metrics;
  std::map<std::string, std::filesystem::path> folders;  // by label: whose disks are watched
};

class Loop {
 public:
  explicit Loop(LoopParts parts);
  // Until `stop_fd` is readable. The ranks run on: the next worker process adopts them.
  void run(int stop_fd);

 private:
  void receive_messages();
  void observe();
  void read_devices();
  void send();
  void export_metrics();
  bool wait(int stop_fd);

  LoopParts parts_;
  LogReaders logs_;
  Millis devices_read_boot_ms_ = 0;
  Millis exported_boot_ms_ = 0;
};

}  // namespace llmctl::worker
