#include "worker/devices/inventory.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "core/base/cpus.h"
#include "core/base/log.h"
#include "worker/files/open_file.h"

namespace llmctl::worker {

static constexpr double kDefaultShare = 0.8;  // of the memory that is available at the start

// "MemTotal:       24610084 kB" -> bytes; 0 when absent.
static Bytes meminfo(std::string_view field) {
  const std::string text = read_small_file("/proc/meminfo", 64 << 10).value_or("");
  size_t at = text.find(field);
  if (at == std::string::npos) return 0;
  at = text.find_first_of("0123456789", at);
  Bytes kib = 0;
  if (at != std::string::npos) std::from_chars(&text[at], text.data() + text.size(), kib);
  return kib << 10;
}

Bytes memory_total() {
  return meminfo("MemTotal:");
}
Bytes memory_available() {
  return meminfo("MemAvailable:");
}

static std::string cpu_name() {
  const std::string text = read_small_file("/proc/cpuinfo", 4 << 20).value_or("");
  const size_t line = text.find("model name");
  const size_t colon = text.find(':', line);
  if (line == std::string::npos || colon == std::string::npos) return "CPU";
  const size_t end = text.find('\n', colon);
  return text.substr(std::min(colon + 2, end), end - std::min(colon + 2, end));
}

namespace {

class CpuDevice final : public DeviceReader {
 public:
  explicit CpuDevice(const InventoryOptions& options) {
    device_.name = cpu_name();
    device_.slots = options.slots;
    device_.memory_total = options.cpu_memory;
    if (device_.memory_total == 0) {
      device_.memory_total =
          static_cast<Bytes>(kDefaultShare * static_cast<double>(memory_available()));
    }
  }
  std::vector<DeviceStats> read(const std::set<int64_t>& /*our_pids*/) override {
    DeviceStats stats;
    stats.device = device_;
    stats.memory_free = memory_available();
    stats.memory_used = memory_total() - stats.memory_free;
    return {stats};
  }

 private:
  Device device_;
};

}  // namespace

std::unique_ptr<DeviceReader> open_devices(const InventoryOptions& options) {
  if (options.use_nvml) {
    auto nvml = open_nvml(options);
    if (nvml.ok()) return std::move(nvml).value();
    log_sentence("worker", "no CUDA devices: " + nvml.error().message + "; serving the CPU");
  }
  return std::make_unique<CpuDevice>(options);
}

Inventory machine_inventory(const InventoryOptions& options,
                            const std::vector<DeviceStats>& devices) {
  Inventory inventory;
  char hostname[256] = "";
  gethostname(hostname, sizeof hostname - 1);
  inventory.hostname = options.hostname.empty() ? hostname : options.hostname;
  inventory.version = options.version;
  inventory.cpus = usable_cpus();
  inventory.ram_total = memory_total();
  for (const DeviceStats& stats : devices) inventory.devices.push_back(stats.device);
  return inventory;
}

}  // namespace llmctl::worker
