// CUDA devices through NVML. Whatever a driver or a board does not support answers with an error
// and becomes an empty field.
#include <algorithm>
#include <array>
#include <map>

#include "core/base/limits.h"
#include "worker/devices/inventory.h"
#include "worker/devices/nvml_api.h"

namespace llmctl::worker {
namespace {

constexpr double kMilli = 1e-3, kMega = 1e6, kPercent = 1e-2, kKilobytes = 1e3;
constexpr unsigned kProcesses = 1'024;  // of one device
constexpr int kEventsAtOnce = 64;       // Xids taken in one reading

struct ThrottleReason {
  unsigned long long bit;
  const char* name;
};
constexpr auto kThrottleReasons = std::to_array<ThrottleReason>({
    {0x2, "applications_clocks"},
    {0x4, "sw_power_cap"},
    {0x8, "hw_slowdown"},
    {0x10, "sync_boost"},
    {0x20, "sw_thermal_slowdown"},
    {0x40, "hw_thermal_slowdown"},
    {0x80, "hw_power_brake_slowdown"},
    {0x100, "display_clocks"},
});

// The answer of one NVML call times a factor; empty when the call is missing or fails.
template <class Raw, class... Given, class... Args>
std::optional<double> ask(double factor,
                          int (*call)(Args...),
                          nvml::Device device,
                          Given... given) {
  Raw raw{};
  if (call == nullptr || call(device, given..., &raw) != nvml::kSuccess) return std::nullopt;
  return static_cast<double>(raw) * factor;
}

std::string ask_text(int (*call)(nvml::Device, char*, unsigned), nvml::Device device) {
  char text[128] = "";
  if (call == nullptr || call(device, text, sizeof text - 1) != nvml::kSuccess) return "";
  return text;
}

class NvmlDevices final : public DeviceReader {
 public:
  NvmlDevices(std::shared_ptr<const nvml::Api> api, int32_t slots)
      : api_(std::move(api)), slots_(slots) {}
  ~NvmlDevices() override {
    if (events_ != nullptr) api_->event_set_free(events_);
  }
  Status open();
  std::vector<DeviceStats> read(const std::set<int64_t>& our_pids) override;

 private:
  DeviceStats read_one(int32_t index, nvml::Device device, const std::set<int64_t>& our_pids);
  void read_gauges(nvml::Device device, DeviceStats& stats) const;
  void read_processes(nvml::Device device,
                      const std::set<int64_t>& our_pids,
                      DeviceStats& stats) const;
  void listen_for_errors();
  void count_errors();
  void measure_pcie();

  const std::shared_ptr<const nvml::Api> api_;
  const int32_t slots_;
  std::vector<nvml::Device> devices_;
  nvml::EventSet events_ = nullptr;
  std::map<nvml::Device, int64_t> xid_errors_;
  struct Pcie {
    std::optional<double> transmit, receive;  // bytes per second
  };
  std::vector<Pcie> pcie_;  // by device
  size_t pcie_turn_ = 0;
};

Status NvmlDevices::open() {
  unsigned count = 0;
  if (api_->device_count(&count) != nvml::kSuccess || count == 0) {
    return Error{Code::unavailable, "NVML shows no device", ""};
  }
  count = std::min(count, static_cast<unsigned>(limits::kDevicesPerWorker));
  for (unsigned i = 0; i < count; ++i) {
    nvml::Device device = nullptr;
    if (api_->device_by_index(i, &device) != nvml::kSuccess) {
      return Error{Code::unavailable, "NVML device " + std::to_string(i) + " does not answer", ""};
    }
    devices_.push_back(device);
  }
  pcie_.resize(devices_.size());
  listen_for_errors();
  return ok_status();
}

void NvmlDevices::listen_for_errors() {
  const bool can = api_->event_set_create != nullptr && api_->event_set_free != nullptr &&
                   api_->register_events != nullptr && api_->event_set_wait != nullptr;
  if (!can || api_->event_set_create(&events_) != nvml::kSuccess) {
    events_ = nullptr;
    return;
  }
  // A board without Xid events refuses; its count stays 0.
  for (const nvml::Device device : devices_)
    api_->register_events(device, nvml::kEventXid, events_);
}

void NvmlDevices::count_errors() {
  nvml::EventData event{};
  for (int i = 0; events_ != nullptr && i < kEventsAtOnce; ++i) {
    if (api_->event_set_wait(events_, &event, 0) != nvml::kSuccess) return;
    if (event.type == nvml::kEventXid) ++xid_errors_[event.device];
  }
}

// NVML watches the bus for 20 ms to answer, so each reading asks one device; the others keep
// theirs.
void NvmlDevices::measure_pcie() {
  const size_t turn = pcie_turn_++ % devices_.size();
  const auto rate = [&](int direction) {
    return ask<unsigned>(kKilobytes, api_->pcie_throughput, devices_[turn], direction);
  };
  pcie_[turn] = {rate(nvml::kPcieTransmit), rate(nvml::kPcieReceive)};
}

std::vector<DeviceStats> NvmlDevices::read(const std::set<int64_t>& our_pids) {
  count_errors();
  measure_pcie();
  std::vector<DeviceStats> all;
  for (size_t i = 0; i < devices_.size(); ++i) {
    all.push_back(read_one(static_cast<int32_t>(i), devices_[i], our_pids));
    all.back().pcie_transmit_bytes_per_second = pcie_[i].transmit;
    all.back().pcie_receive_bytes_per_second = pcie_[i].receive;
  }
  return all;
}

DeviceStats NvmlDevices::read_one(int32_t index,
                                  nvml::Device device,
                                  const std::set<int64_t>& our_pids) {
  DeviceStats stats;
  stats.device.index = index;
  stats.device.kind = "cuda";
  stats.device.slots = slots_;
  stats.device.name = ask_text(api_->name, device);
  stats.device.uuid = ask_text(api_->uuid, device);
  nvml::Memory memory{};
  stats.device.healthy = api_->memory(device, &memory) == nvml::kSuccess;
  stats.device.memory_total = static_cast<Bytes>(memory.total);
  stats.memory_used = static_cast<Bytes>(memory.used);
  stats.memory_free = static_cast<Bytes>(memory.free);
  stats.xid_errors = xid_errors_[device];
  read_gauges(device, stats);
  read_processes(device, our_pids, stats);
  return stats;
}

void NvmlDevices::read_gauges(nvml::Device device, DeviceStats& stats) const {
  using U64 = unsigned long long;
  nvml::Utilization use{};
  if (api_->utilization != nullptr && api_->utilization(device, &use) == nvml::kSuccess) {
    stats.utilization_ratio = use.gpu * kPercent;
    stats.memory_utilization_ratio = use.memory * kPercent;
  }
  stats.temperature_celsius = ask<unsigned>(1, api_->temperature, device, nvml::kTemperatureGpu);
  stats.power_watts = ask<unsigned>(kMilli, api_->power, device);
  stats.power_limit_watts = ask<unsigned>(kMilli, api_->power_limit, device);
  stats.energy_joules = ask<U64>(kMilli, api_->energy, device);
  stats.sm_clock_hertz = ask<unsigned>(kMega, api_->clock, device, nvml::kClockSm);
  stats.memory_clock_hertz = ask<unsigned>(kMega, api_->clock, device, nvml::kClockMemory);
  const auto ecc = [&](int kind) -> std::optional<int64_t> {
    U64 count = 0;
    const bool known =
        api_->ecc_errors != nullptr &&
        api_->ecc_errors(device, kind, nvml::kEccSinceBoot, &count) == nvml::kSuccess;
    return known ? std::optional(static_cast<int64_t>(count)) : std::nullopt;
  };
  stats.ecc_errors_corrected = ecc(nvml::kEccCorrected);
  stats.ecc_errors_uncorrected = ecc(nvml::kEccUncorrected);
  U64 reasons = 0;
  if (api_->throttle_reasons == nullptr ||
      api_->throttle_reasons(device, &reasons) != nvml::kSuccess) {
    return;
  }
  for (const ThrottleReason& reason : kThrottleReasons) {
    if ((reasons & reason.bit) != 0) stats.throttle_reasons.emplace_back(reason.name);
  }
}

// Foreign memory is what is used and not ours: also what the driver and processes of other
// containers hold, which NVML does not list.
void NvmlDevices::read_processes(nvml::Device device,
                                 const std::set<int64_t>& our_pids,
                                 DeviceStats& stats) const {
  std::vector<nvml::Process> processes(64);
  auto count = static_cast<unsigned>(processes.size());
  int status = api_->processes == nullptr ? -1 : api_->processes(device, &count, processes.data());
  if (status == nvml::kInsufficientSize && count <= kProcesses) {
    processes.resize(count + 16);
    count = static_cast<unsigned>(processes.size());
    status = api_->processes(device, &count, processes.data());
  }
  Bytes ours = 0;
  for (unsigned i = 0; status == nvml::kSuccess && i < count && i < processes.size(); ++i) {
    const bool known = processes[i].used_memory != nvml::kMemoryUnknown;
    ComputeProcess process;
    process.pid = processes[i].pid;
    process.memory = known ? static_cast<Bytes>(processes[i].used_memory) : 0;
    process.ours = our_pids.contains(process.pid);
    if (process.ours) ours += process.memory;
    stats.processes.push_back(process);
  }
  stats.device.memory_foreign = std::max<Bytes>(0, stats.memory_used - ours);
}

}  // namespace

Result<std::unique_ptr<DeviceReader>> open_nvml(const InventoryOptions& options) {
  auto devices = std::make_unique<NvmlDevices>(TRY(nvml::open(options.nvml_path)), options.slots);
  TRY(devices->open());
  return std::unique_ptr<DeviceReader>(std::move(devices));
}

}  // namespace llmctl::worker
