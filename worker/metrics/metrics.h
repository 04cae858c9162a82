// WorkerMetrics: the worker's Prometheus registry: host, devices, runs, report lines, log bytes;
// names and meanings are in docs/METRICS.md. It only watches. Loop thread only.
#pragma once

#include <filesystem>
#include <map>
#include <set>

#include "metrics/families.h"
#include "worker/agent/agent.h"
#include "worker/metrics/device_metrics.h"

namespace llmctl::worker {

class WorkerMetrics {
 public:
  WorkerMetrics(prometheus::Registry& registry, const Inventory& inventory);

  // After each reading; `available` is host memory that programs could still get.
  void observe_devices(const std::vector<DeviceStats>& devices, Bytes available);
  // Of the disk that holds the folder known as `label`; unknown values are all ones.
  void observe_disk(const std::string& label, const std::filesystem::space_info& space);
  // About once a second, from Agent::runs(), connected() and reports_dropped().
  void observe_runs(const std::map<RunKey, Run>& runs, Millis boot_ms);
  void observe_link(bool connected, int64_t reports_dropped);
  void line_read(bool known);  // a line of a report.jsonl
  void log_sent(Bytes bytes);  // to a reader, over the link

 private:
  struct OneRank {
    RunKey key;
    Series<prometheus::Gauge> step, peak, silence;
  };

  DeviceMetrics devices_;
  GaugeFamily& disk_available_;
  GaugeFamily& disk_size_;
  GaugeFamily& runs_;
  CounterFamily& ended_;
  GaugeFamily& rank_step_;
  GaugeFamily& rank_peak_;
  GaugeFamily& rank_silence_;
  prometheus::Gauge& connected_;
  prometheus::Gauge& memory_available_;
  prometheus::Counter& known_lines_;
  prometheus::Counter& ignored_lines_;
  prometheus::Counter& reports_dropped_;
  prometheus::Counter& log_bytes_;
  GrowingTotal dropped_seen_;
  std::map<std::string, Series<prometheus::Gauge>> disks_available_, disks_size_;  // by label
  std::set<RunKey> ended_seen_;
  std::map<std::pair<JobId, int32_t>, OneRank> ranks_;  // the newest epoch of each rank
};

}  // namespace llmctl::worker
