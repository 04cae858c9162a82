// The part of NVML's C interface that we call, declared from its documentation: the library is
// opened at run time and its header is not needed to build. Units are NVML's and named where they
// are used. Functions that an older driver lacks stay null.
#pragma once

#include <memory>
#include <string>

#include "core/base/result.h"

namespace llmctl::worker::nvml {

using Device = struct DeviceHandle*;
using EventSet = struct EventSetHandle*;

inline constexpr int kSuccess = 0;
inline constexpr int kInsufficientSize = 7;
inline constexpr int kTemperatureGpu = 0;
inline constexpr int kClockSm = 1;
inline constexpr int kClockMemory = 2;
inline constexpr int kPcieTransmit = 0;
inline constexpr int kPcieReceive = 1;
inline constexpr int kEccCorrected = 0;
inline constexpr int kEccUncorrected = 1;
inline constexpr int kEccSinceBoot = 0;
inline constexpr unsigned long long kEventXid = 8;
inline constexpr unsigned long long kMemoryUnknown = ~0ULL;  // a process's memory, on Windows

struct Memory {
  unsigned long long total, free, used;  // bytes
};
struct Utilization {
  unsigned gpu, memory;  // percent
};
struct Process {  // version 3 of the call
  unsigned pid;
  unsigned long long used_memory;  // bytes
  unsigned gpu_instance, compute_instance;
};
struct EventData {
  Device device;
  unsigned long long type, data;  // data: the Xid
  unsigned gpu_instance, compute_instance;
};

// Every function returns kSuccess or an error.
struct Api {
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*device_count)(unsigned*) = nullptr;
  int (*device_by_index)(unsigned, Device*) = nullptr;
  int (*name)(Device, char*, unsigned) = nullptr;
  int (*uuid)(Device, char*, unsigned) = nullptr;
  int (*memory)(Device, Memory*) = nullptr;
  int (*utilization)(Device, Utilization*) = nullptr;
  int (*temperature)(Device, int, unsigned*) = nullptr;
  int (*power)(Device, unsigned*) = nullptr;             // milliwatts
  int (*power_limit)(Device, unsigned*) = nullptr;       // milliwatts
  int (*energy)(Device, unsigned long long*) = nullptr;  // millijoules
  int (*clock)(Device, int, unsigned*) = nullptr;        // megahertz
  int (*throttle_reasons)(Device, unsigned long long*) = nullptr;
  int (*pcie_throughput)(Device, int, unsigned*) = nullptr;  // KB/s
  int (*ecc_errors)(Device, int, int, unsigned long long*) = nullptr;
  int (*processes)(Device, unsigned*, Process*) = nullptr;
  int (*event_set_create)(EventSet*) = nullptr;
  int (*event_set_free)(EventSet) = nullptr;
  int (*register_events)(Device, unsigned long long, EventSet) = nullptr;
  int (*event_set_wait)(EventSet, EventData*, unsigned) = nullptr;  // milliseconds
};

// Opened and initialised; closed with the last owner. unavailable: says what is missing.
Result<std::shared_ptr<const Api>> open(const std::string& path);

}  // namespace llmctl::worker::nvml
