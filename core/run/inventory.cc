#include "core/run/inventory.h"

#include <algorithm>

namespace llmctl {

Bytes usable_bytes(const Device& device) {
  return std::max<Bytes>(device.memory_total - device.memory_foreign, 0);
}

std::string device_label(const std::string& kind, int32_t index) {
  return kind + ":" + std::to_string(index);
}

// Drivers and budgets differ by a few MiB between equal devices, so memory is rounded to GiB.
std::string device_type(const Device& device) {
  const Bytes gib = (device.memory_total + (1LL << 29)) >> 30;
  return device.kind + "/" + device.name + "/" + std::to_string(gib) + "GiB";
}

}  // namespace llmctl
