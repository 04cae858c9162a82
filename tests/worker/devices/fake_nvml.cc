// A libnvidia-ml.so.1 with two devices for the tests: the second supports little, as consumer
// boards and old drivers do. Built as a shared library and opened by path.
#include <cstring>

#include "worker/devices/nvml_api.h"

namespace {

using llmctl::worker::nvml::Device;
using llmctl::worker::nvml::EventData;
using llmctl::worker::nvml::EventSet;

constexpr int kNotSupported = 3;
constexpr int kTimeout = 10;
int g_first = 0, g_second = 0, g_events = 0, g_xids_left = 2;

Device first() {
  return reinterpret_cast<Device>(&g_first);
}
int text(Device device, char* out, unsigned size, const char* of_first, const char* of_second) {
  std::strncpy(out, device == first() ? of_first : of_second, size);
  return 0;
}
template <class T>
int only_first(Device device, T* out, T value) {
  if (device != first()) return kNotSupported;
  *out = value;
  return 0;
}

}  // namespace

extern "C" {
int nvmlInit_v2() {
  return 0;
}
int nvmlShutdown() {
  return 0;
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 2;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device* device) {
  *device = index == 0 ? first() : reinterpret_cast<Device>(&g_second);
  return 0;
}
int nvmlDeviceGetName(Device device, char* out, unsigned size) {
  return text(device, out, size, "NVIDIA GeForce RTX 4090", "NVIDIA GeForce GTX 970");
}
int nvmlDeviceGetUUID(Device device, char* out, unsigned size) {
  return text(device, out, size, "GPU-1111", "GPU-2222");
}
int nvmlDeviceGetMemoryInfo(Device, llmctl::worker::nvml::Memory* memory) {
  *memory = {24ULL << 30, 20ULL << 30, 4ULL << 30};
  return 0;
}
int nvmlDeviceGetUtilizationRates(Device device, llmctl::worker::nvml::Utilization* use) {
  return only_first(device, use, {75, 40});
}
int nvmlDeviceGetTemperature(Device device, int, unsigned* value) {
  return only_first(device, value, 66U);
}
int nvmlDeviceGetPowerUsage(Device device, unsigned* value) {
  return only_first(device, value, 310'500U);
}
int nvmlDeviceGetEnforcedPowerLimit(Device device, unsigned* value) {
  return only_first(device, value, 450'000U);
}
int nvmlDeviceGetTotalEnergyConsumption(Device device, unsigned long long* value) {
  return only_first(device, value, 123'456'789ULL);
}
int nvmlDeviceGetClockInfo(Device device, int kind, unsigned* value) {
  return only_first(device, value, kind == 1 ? 2'520U : 10'501U);
}
int nvmlDeviceGetCurrentClocksThrottleReasons(Device device, unsigned long long* value) {
  return only_first(device, value, 0x44ULL);
}
int nvmlDeviceGetPcieThroughput(Device device, int direction, unsigned* value) {
  return only_first(device, value, direction == 0 ? 1'000U : 2'000U);
}
int nvmlDeviceGetTotalEccErrors(Device device, int kind, int, unsigned long long* value) {
  return only_first(device, value, kind == 0 ? 7ULL : 0ULL);
}
int nvmlDeviceGetComputeRunningProcesses_v3(Device device,
                                            unsigned* count,
                                            llmctl::worker::nvml::Process* processes) {
  if (device != first()) return kNotSupported;
  if (*count < 100) {  // more than a first guess would hold
    *count = 100;
    return 7;
  }
  *count = 2;
  processes[0] = {4711, 3ULL << 30, 0, 0};
  processes[1] = {99, 512ULL << 20, 0, 0};
  return 0;
}
int nvmlEventSetCreate(EventSet* events) {
  *events = reinterpret_cast<EventSet>(&g_events);
  return 0;
}
int nvmlEventSetFree(EventSet) {
  return 0;
}
int nvmlDeviceRegisterEvents(Device device, unsigned long long, EventSet) {
  return device == first() ? 0 : kNotSupported;
}
int nvmlEventSetWait_v2(EventSet, EventData* event, unsigned) {
  if (g_xids_left == 0) return kTimeout;
  --g_xids_left;
  *event = {first(), 8, 79, 0, 0};
  return 0;
}
}
