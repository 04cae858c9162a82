#include "worker/metrics/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace llmctl::worker {
namespace {

namespace fs = std::filesystem;

constexpr auto kPhases = std::to_array<const char*>({"spawning", "up", "ended"});

}  // namespace

WorkerMetrics::WorkerMetrics(prometheus::Registry& r, const Inventory& inventory)
    : devices_(r),
      disk_available_(
          gauge(r, "llmctl_disk_available_bytes", "Room on the disk that holds the folder.")),
      disk_size_(gauge(r, "llmctl_disk_size_bytes", "Size of the disk that holds the folder.")),
      runs_(gauge(r, "llmctl_worker_runs", "Runs on this worker by phase.")),
      ended_(counter(r, "llmctl_worker_runs_ended_total", "Runs that ended here, by outcome.")),
      rank_step_(gauge(r, "llmctl_rank_step", "Optimizer steps done, as this rank says.")),
      rank_peak_(gauge(r, "llmctl_rank_memory_peak_bytes", "Peak device memory of this rank.")),
      rank_silence_(gauge(r,
                          "llmctl_rank_silence_seconds",
                          "Time since the rank's last report line; long is a hang.")),
      connected_(
          gauge(r, "llmctl_worker_connected", "1 while the scheduler's stream is open.").Add({})),
      memory_available_(gauge(r,
                              "llmctl_host_memory_available_bytes",
                              "Host memory that programs could still get.")
                            .Add({})),
      known_lines_(counter(r, "llmctl_report_lines_total", "Report lines of trainers.")
                       .Add({{"result", "known"}})),
      ignored_lines_(counter(r, "llmctl_report_lines_total", "Report lines of trainers.")
                         .Add({{"result", "ignored"}})),
      reports_dropped_(counter(r,
                               "llmctl_reports_dropped_total",
                               "Progress reports given up while the scheduler was away.")
                           .Add({})),
      log_bytes_(counter(r, "llmctl_log_sent_bytes_total", "Log bytes sent to readers.").Add({})) {
  gauge(r, "llmctl_build_info", "Version of the worker; always 1.")
      .Add({{"version", label_value(inventory.version)}})
      .Set(1);
  gauge(r, "llmctl_host_memory_total_bytes", "Memory of the host.")
      .Add({})
      .Set(static_cast<double>(inventory.ram_total));
  gauge(r, "llmctl_host_cpus", "CPUs this worker may use.").Add({}).Set(inventory.cpus);
  dropped_seen_.start_at(0);
}

void WorkerMetrics::observe_devices(const std::vector<DeviceStats>& devices, Bytes available) {
  devices_.observe(devices);
  memory_available_.Set(static_cast<double>(available));
}

void WorkerMetrics::observe_disk(const std::string& label, const fs::space_info& space) {
  constexpr auto kUnknown = static_cast<uintmax_t>(-1);
  const auto bytes = [](uintmax_t value) {
    return value == kUnknown ? std::nan("") : static_cast<double>(value);
  };
  const prometheus::Labels labels{{"folder", label}};
  set_finite(disks_available_[label], disk_available_, labels, bytes(space.available));
  set_finite(disks_size_[label], disk_size_, labels, bytes(space.capacity));
}

void WorkerMetrics::observe_link(bool connected, int64_t reports_dropped) {
  connected_.Set(connected ? 1 : 0);
  reports_dropped_.Increment(dropped_seen_.observe(static_cast<double>(reports_dropped)));
}

void WorkerMetrics::observe_runs(const std::map<RunKey, Run>& runs, Millis boot_ms) {
  std::array<double, kPhases.size()> phases{};
  for (const auto& [key, run] : runs) {
    ++phases[static_cast<size_t>(run.status.phase)];
    if (run.ended()) {
      if (ended_seen_.insert(key).second) {
        ended_.Add({{"outcome", to_string(run.status.outcome)}}).Increment();
      }
      continue;
    }
    OneRank& rank = ranks_[{key.job, key.rank}];
    rank.key = key;
    const prometheus::Labels labels{{"job_id", key.job.str()}, {"rank", std::to_string(key.rank)}};
    set_finite(rank.step, rank_step_, labels, static_cast<double>(run.progress.step));
    set_finite(rank.peak, rank_peak_, labels, static_cast<double>(run.progress.peak_bytes));
    set_finite(rank.silence, rank_silence_, labels,
               static_cast<double>(std::max<Millis>(0, boot_ms - run.last_line_boot_ms)) / 1000);
  }
  for (size_t i = 0; i < phases.size(); ++i) {
    runs_.Add({{"phase", kPhases[i]}}).Set(phases[i]);
  }
  std::erase_if(ended_seen_, [&runs](const RunKey& key) { return !runs.contains(key); });
  std::erase_if(ranks_, [&runs](const auto& entry) {
    const auto run = runs.find(entry.second.key);
    return run == runs.end() || run->second.ended();
  });
}

void WorkerMetrics::line_read(bool known) {
  (known ? known_lines_ : ignored_lines_).Increment();
}

void WorkerMetrics::log_sent(Bytes bytes) {
  log_bytes_.Increment(static_cast<double>(bytes));
}

}  // namespace llmctl::worker
