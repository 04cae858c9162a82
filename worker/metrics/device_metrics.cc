#include "worker/metrics/device_metrics.h"

#include <algorithm>
#include <array>
#include <limits>
#include <set>

namespace llmctl::worker {
namespace {

struct DeviceGauge {
  const char* name;
  const char* help;
  std::optional<double> (*value)(const DeviceStats&);  // none: no series
};

constexpr auto kGpuGauges = std::to_array<DeviceGauge>({
    {"llmctl_gpu_healthy", "1 while the driver answers for the GPU.",
     [](const DeviceStats& s) -> std::optional<double> { return s.device.healthy ? 1 : 0; }},
    {"llmctl_gpu_memory_total_bytes", "Memory of the GPU.",
     [](const DeviceStats& s) -> std::optional<double> {
       return static_cast<double>(s.device.memory_total);
     }},
    {"llmctl_gpu_memory_used_bytes", "Memory in use, by anybody.",
     [](const DeviceStats& s) -> std::optional<double> {
       return static_cast<double>(s.memory_used);
     }},
    {"llmctl_gpu_memory_foreign_bytes", "Memory in use by processes that are not ours.",
     [](const DeviceStats& s) -> std::optional<double> {
       return static_cast<double>(s.device.memory_foreign);
     }},
    {"llmctl_gpu_utilization_ratio", "Share of time a kernel was running.",
     [](const DeviceStats& s) { return s.utilization_ratio; }},
    {"llmctl_gpu_memory_utilization_ratio", "Share of time memory was read or written.",
     [](const DeviceStats& s) { return s.memory_utilization_ratio; }},
    {"llmctl_gpu_temperature_celsius", "Temperature of the chip.",
     [](const DeviceStats& s) { return s.temperature_celsius; }},
    {"llmctl_gpu_power_watts", "Power drawn by the board.",
     [](const DeviceStats& s) { return s.power_watts; }},
    {"llmctl_gpu_power_limit_watts", "Power limit in force.",
     [](const DeviceStats& s) { return s.power_limit_watts; }},
    {"llmctl_gpu_sm_clock_hertz", "Clock of the multiprocessors.",
     [](const DeviceStats& s) { return s.sm_clock_hertz; }},
    {"llmctl_gpu_memory_clock_hertz", "Clock of the memory.",
     [](const DeviceStats& s) { return s.memory_clock_hertz; }},
});

constexpr auto kCpuGauges = std::to_array<DeviceGauge>({
    {"llmctl_cpu_memory_budget_bytes", "Host memory that ranks may use in all.",
     [](const DeviceStats& s) -> std::optional<double> {
       return static_cast<double>(s.device.memory_total);
     }},
    {"llmctl_cpu_memory_used_bytes", "Part of the budget in use.",
     [](const DeviceStats& s) -> std::optional<double> {
       return static_cast<double>(s.memory_used);
     }},
});

constexpr size_t kGaugesMax = std::max(kGpuGauges.size(), kCpuGauges.size());

// What NVML counts for ever, by family and by the one label that tells the parts apart.
struct DeviceCounter {
  size_t family;  // index into kCounterNames
  const char* label;
  const char* label_value;
  std::optional<double> (*value)(const DeviceStats&);
};
constexpr auto kCounterNames = std::to_array<std::pair<const char*, const char*>>({
    {"llmctl_gpu_energy_joules_total", "Energy used since the driver was loaded."},
    {"llmctl_gpu_xid_errors_total", "Critical driver errors seen by this worker."},
    {"llmctl_gpu_ecc_errors_total", "Memory errors since the last reboot."},
});
std::optional<double> as_double(const std::optional<int64_t>& value) {
  return value ? std::optional<double>(static_cast<double>(*value)) : std::nullopt;
}
constexpr auto kCounters = std::to_array<DeviceCounter>({
    {0, nullptr, nullptr, [](const DeviceStats& s) { return s.energy_joules; }},
    {1, nullptr, nullptr,
     [](const DeviceStats& s) -> std::optional<double> {
       return static_cast<double>(s.xid_errors);
     }},
    {2, "kind", "corrected",
     [](const DeviceStats& s) { return as_double(s.ecc_errors_corrected); }},
    {2, "kind", "uncorrected",
     [](const DeviceStats& s) { return as_double(s.ecc_errors_uncorrected); }},
});

std::string device_key(const Device& device) {
  return device.kind + ":" + std::to_string(device.index);
}

}  // namespace

struct DeviceMetrics::Families {
  std::vector<GaugeFamily*> gpu, cpu;
  std::vector<CounterFamily*> counters;
  GaugeFamily& info;
  GaugeFamily& throttle;
  GaugeFamily& pcie;
  GaugeFamily& processes;

  explicit Families(prometheus::Registry& r)
      : info(gauge(r, "llmctl_gpu_info", "Names of a GPU, to join by gpu; always 1.")),
        throttle(gauge(r, "llmctl_gpu_throttle", "1 while the clocks are held down by a reason.")),
        pcie(gauge(r, "llmctl_gpu_pcie_bytes_per_second", "PCI Express traffic.")),
        processes(gauge(r, "llmctl_gpu_processes", "Processes that compute on the GPU.")) {
    for (const DeviceGauge& row : kGpuGauges) gpu.push_back(&gauge(r, row.name, row.help));
    for (const DeviceGauge& row : kCpuGauges) cpu.push_back(&gauge(r, row.name, row.help));
    for (const auto& [name, help] : kCounterNames) counters.push_back(&counter(r, name, help));
  }
};

struct DeviceMetrics::OneDevice {
  prometheus::Labels id;
  Series<prometheus::Gauge> info, transmit, receive, ours, foreign;
  std::array<Series<prometheus::Gauge>, kGaugesMax> gauges;
  std::array<Series<prometheus::Counter>, kCounters.size()> counters;
  std::array<GrowingTotal, kCounters.size()> counted;
  std::map<std::string, Series<prometheus::Gauge>> throttle;
};

DeviceMetrics::DeviceMetrics(prometheus::Registry& registry)
    : families_(std::make_unique<Families>(registry)) {}

DeviceMetrics::~DeviceMetrics() = default;

void DeviceMetrics::observe(const std::vector<DeviceStats>& devices) {
  std::set<std::string> seen;
  for (const DeviceStats& stats : devices) {
    const std::string key = device_key(stats.device);
    if (seen.insert(key).second) observe_one(devices_[key], stats);
  }
  std::erase_if(devices_, [&seen](const auto& entry) { return !seen.contains(entry.first); });
}

void DeviceMetrics::observe_one(OneDevice& one, const DeviceStats& stats) {
  const bool is_gpu = stats.device.kind != "cpu";
  if (one.id.empty()) one.id = {{is_gpu ? "gpu" : "cpu", std::to_string(stats.device.index)}};
  const auto fill = [&](const auto& rows, const std::vector<GaugeFamily*>& families) {
    for (size_t i = 0; i < rows.size(); ++i) {
      const std::optional<double> value = rows[i].value(stats);
      set_finite(one.gauges[i], *families[i], one.id,
                 value.value_or(std::numeric_limits<double>::quiet_NaN()));
    }
  };
  if (!is_gpu) return fill(kCpuGauges, families_->cpu);
  fill(kGpuGauges, families_->gpu);
  observe_gpu(one, stats);
}

void DeviceMetrics::observe_gpu(OneDevice& one, const DeviceStats& stats) {
  const Families& f = *families_;
  const auto with = [&one](const char* label, const std::string& value) {
    prometheus::Labels labels = one.id;
    if (label != nullptr) labels[label] = label_value(value);
    return labels;
  };
  if (!one.info) {
    prometheus::Labels labels = with("uuid", stats.device.uuid);
    labels["name"] = label_value(stats.device.name);
    one.info = series(f.info, labels);
    one.info->Set(1);
  }
  for (size_t i = 0; i < kCounters.size(); ++i) {
    const DeviceCounter& row = kCounters[i];
    const std::optional<double> value = row.value(stats);
    if (!value) continue;
    if (!one.counters[i]) {
      one.counters[i] =
          series(*f.counters[row.family], with(row.label, row.label ? row.label_value : ""));
      one.counted[i].start_at(0);
    }
    one.counters[i]->Increment(one.counted[i].observe(*value));
  }
  for (auto& [reason, slot] : one.throttle) slot->Set(0);
  for (const std::string& reason : stats.throttle_reasons) {
    Series<prometheus::Gauge>& slot = one.throttle[reason];
    if (!slot) slot = series(f.throttle, with("reason", reason));
    slot->Set(1);
  }
  const double unknown = std::numeric_limits<double>::quiet_NaN();
  set_finite(one.transmit, f.pcie, with("direction", "transmit"),
             stats.pcie_transmit_bytes_per_second.value_or(unknown));
  set_finite(one.receive, f.pcie, with("direction", "receive"),
             stats.pcie_receive_bytes_per_second.value_or(unknown));
  const auto ours = std::count_if(stats.processes.begin(), stats.processes.end(),
                                  [](const ComputeProcess& p) { return p.ours; });
  const auto all = static_cast<double>(stats.processes.size());
  set_finite(one.ours, f.processes, with("owner", "llmctl"), static_cast<double>(ours));
  set_finite(one.foreign, f.processes, with("owner", "foreign"), all - static_cast<double>(ours));
}

}  // namespace llmctl::worker
