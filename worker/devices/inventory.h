// Inventory: what this machine offers. CUDA devices through NVML, which is opened at run time so
// that one binary serves machines with and without it; else the CPU as one device with a declared
// memory budget. read() is called from the loop thread every few seconds; it asks the driver and
// waits for its answer (milliseconds). A value the driver does not give is empty, never zero.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/run/inventory.h"

namespace llmctl::worker {

struct ComputeProcess {
  int64_t pid = 0;
  Bytes memory = 0;
  bool ours = false;  // a rank of this worker
  bool operator==(const ComputeProcess&) const = default;
};

// Everything a monitor wants to know of one device at one moment.
struct DeviceStats {
  Device device;
  Bytes memory_used = 0, memory_free = 0;
  std::optional<double> utilization_ratio, memory_utilization_ratio;  // 0..1
  std::optional<double> temperature_celsius;
  std::optional<double> power_watts, power_limit_watts;
  std::optional<double> energy_joules;  // since the driver was loaded
  std::optional<double> sm_clock_hertz, memory_clock_hertz;
  std::optional<double> pcie_transmit_bytes_per_second, pcie_receive_bytes_per_second;
  std::optional<int64_t> ecc_errors_corrected, ecc_errors_uncorrected;  // since the last reboot
  int64_t xid_errors = 0;                     // critical driver errors seen by this worker
  std::vector<std::string> throttle_reasons;  // "sw_power_cap", "hw_thermal_slowdown" …
  std::vector<ComputeProcess> processes;
};

struct InventoryOptions {
  std::string hostname;  // under which ranks of other workers reach this machine; empty: its own
  std::string nvml_path = "libnvidia-ml.so.1";
  bool use_nvml = true;
  Bytes cpu_memory = 0;  // 0: 80 % of what is available now
  int32_t slots = 1;     // ranks that may share one device
  std::string version;   // of this worker
};

class DeviceReader {
 public:
  virtual ~DeviceReader() = default;
  // `our_pids`: the trainers of this worker, to tell their memory from other people's.
  virtual std::vector<DeviceStats> read(const std::set<int64_t>& our_pids) = 0;
};

// NVML where it opens and shows a device; else the CPU.
std::unique_ptr<DeviceReader> open_devices(const InventoryOptions& options);
// Only NVML; unavailable, saying why, when it cannot be used.
Result<std::unique_ptr<DeviceReader>> open_nvml(const InventoryOptions& options);

Inventory machine_inventory(const InventoryOptions& options,
                            const std::vector<DeviceStats>& devices);
Bytes memory_total();  // of the machine
Bytes memory_available();

}  // namespace llmctl::worker
