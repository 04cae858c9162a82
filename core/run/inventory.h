// What a worker has: its devices, as the scheduler sees them. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/units.h"

namespace llmctl {

struct Device {
  int32_t index = 0;         // CUDA ordinal, or 0 for the CPU
  std::string kind = "cpu";  // cpu | cuda
  std::string uuid;          // NVML's; empty on CPU
  std::string name;          // "NVIDIA GeForce RTX 4090", "AMD EPYC"
  Bytes memory_total = 0;    // CPU: the declared budget
  Bytes memory_foreign = 0;  // used by processes that are not ours
  int32_t slots = 1;         // ranks that may share the device
  bool healthy = true;
  bool operator==(const Device&) const = default;
};

struct Inventory {
  std::string hostname;
  std::string version;  // llmctl version of the worker
  int32_t cpus = 0;
  Bytes ram_total = 0;
  std::vector<Device> devices;
  // Machine, boot and work folder: of two workers with one name, tells a restart from a namesake.
  std::string place{};
  // Names the jobs folder: workers that share one see each other's checkpoints; empty: not known.
  std::string jobs_folder{};
  bool operator==(const Inventory&) const = default;
};

Bytes usable_bytes(const Device& device);  // what other people's processes leave

// "cpu:0", "cuda:1": what a device is called between programs and before people.
std::string device_label(const std::string& kind, int32_t index);

// Profiles measured on one device serve all of the same type: kind, name and rounded memory.
std::string device_type(const Device& device);

}  // namespace llmctl
