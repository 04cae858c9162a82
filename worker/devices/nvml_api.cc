#include "worker/devices/nvml_api.h"

#include <dlfcn.h>

namespace llmctl::worker::nvml {

template <class Function>
static void find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
}

static Api find_all(void* library) {
  Api api;
  find(library, "nvmlInit_v2", api.init);
  find(library, "nvmlShutdown", api.shutdown);
  find(library, "nvmlDeviceGetCount_v2", api.device_count);
  find(library, "nvmlDeviceGetHandleByIndex_v2", api.device_by_index);
  find(library, "nvmlDeviceGetName", api.name);
  find(library, "nvmlDeviceGetUUID", api.uuid);
  find(library, "nvmlDeviceGetMemoryInfo", api.memory);
  find(library, "nvmlDeviceGetUtilizationRates", api.utilization);
  find(library, "nvmlDeviceGetTemperature", api.temperature);
  find(library, "nvmlDeviceGetPowerUsage", api.power);
  find(library, "nvmlDeviceGetEnforcedPowerLimit", api.power_limit);
  find(library, "nvmlDeviceGetTotalEnergyConsumption", api.energy);
  find(library, "nvmlDeviceGetClockInfo", api.clock);
  find(library, "nvmlDeviceGetCurrentClocksThrottleReasons", api.throttle_reasons);
  find(library, "nvmlDeviceGetPcieThroughput", api.pcie_throughput);
  find(library, "nvmlDeviceGetTotalEccErrors", api.ecc_errors);
  find(library, "nvmlDeviceGetComputeRunningProcesses_v3", api.processes);
  find(library, "nvmlEventSetCreate", api.event_set_create);
  find(library, "nvmlEventSetFree", api.event_set_free);
  find(library, "nvmlDeviceRegisterEvents", api.register_events);
  find(library, "nvmlEventSetWait_v2", api.event_set_wait);
  return api;
}

Result<std::shared_ptr<const Api>> open(const std::string& path) {
  const std::shared_ptr<void> library(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL),
                                      [](void* handle) {
                                        if (handle != nullptr) dlclose(handle);
                                      });
  if (!library) return Error{Code::unavailable, path + ": is not installed", ""};
  const Api found = find_all(library.get());
  const bool usable = found.init != nullptr && found.shutdown != nullptr &&
                      found.device_count != nullptr && found.device_by_index != nullptr &&
                      found.memory != nullptr;
  if (!usable) return Error{Code::unavailable, path + ": is not NVML 450 or newer", ""};
  if (const int error = found.init(); error != kSuccess) {
    return Error{Code::unavailable,
                 path + ": did not start (NVML error " + std::to_string(error) + ")",
                 "is the NVIDIA driver loaded?"};
  }
  return std::shared_ptr<const Api>(new Api(found), [library](const Api* api) {
    api->shutdown();
    delete api;
  });
}

}  // namespace llmctl::worker::nvml
