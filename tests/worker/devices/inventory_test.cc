#include "worker/devices/inventory.h"

#include <gtest/gtest.h>

namespace llmctl::worker {
namespace {

std::vector<DeviceStats> read_fake(const std::set<int64_t>& our_pids) {
  InventoryOptions options;
  options.nvml_path = FAKE_NVML;
  options.slots = 2;
  auto devices = open_nvml(options);
  EXPECT_TRUE(devices.ok()) << devices.error().message;
  return (*devices)->read(our_pids);
}

TEST(Nvml, ReadsEveryFieldInBaseUnits) {
  const auto all = read_fake({4711});
  ASSERT_EQ(all.size(), 2U);
  const DeviceStats& gpu = all[0];
  EXPECT_EQ(gpu.device.kind, "cuda");
  EXPECT_EQ(gpu.device.name, "NVIDIA GeForce RTX 4090");
  EXPECT_EQ(gpu.device.uuid, "GPU-1111");
  EXPECT_EQ(gpu.device.slots, 2);
  EXPECT_EQ(gpu.device.memory_total, 24LL << 30);
  EXPECT_EQ(gpu.memory_used, 4LL << 30);
  EXPECT_EQ(gpu.memory_free, 20LL << 30);
  EXPECT_DOUBLE_EQ(gpu.utilization_ratio.value(), 0.75);
  EXPECT_DOUBLE_EQ(gpu.memory_utilization_ratio.value(), 0.40);
  EXPECT_DOUBLE_EQ(gpu.temperature_celsius.value(), 66);
  EXPECT_DOUBLE_EQ(gpu.power_watts.value(), 310.5);
  EXPECT_DOUBLE_EQ(gpu.power_limit_watts.value(), 450);
  EXPECT_DOUBLE_EQ(gpu.energy_joules.value(), 123'456.789);
  EXPECT_DOUBLE_EQ(gpu.sm_clock_hertz.value(), 2.52e9);
  EXPECT_DOUBLE_EQ(gpu.memory_clock_hertz.value(), 10.501e9);
  EXPECT_DOUBLE_EQ(gpu.pcie_transmit_bytes_per_second.value(), 1e6);
  EXPECT_DOUBLE_EQ(gpu.pcie_receive_bytes_per_second.value(), 2e6);
  EXPECT_EQ(gpu.ecc_errors_corrected, 7);
  EXPECT_EQ(gpu.ecc_errors_uncorrected, 0);
  EXPECT_EQ(gpu.throttle_reasons,
            (std::vector<std::string>{"sw_power_cap", "hw_thermal_slowdown"}));
  EXPECT_EQ(gpu.xid_errors, 2);
}

TEST(Nvml, TellsOurProcessesFromForeignOnes) {
  const DeviceStats gpu = read_fake({4711})[0];
  const std::vector<ComputeProcess> expected = {{4711, 3LL << 30, true}, {99, 512LL << 20, false}};
  EXPECT_EQ(gpu.processes, expected);
  EXPECT_EQ(gpu.device.memory_foreign, 1LL << 30) << "used by anybody but us";
  EXPECT_EQ(read_fake({})[0].device.memory_foreign, 4LL << 30);
}

TEST(Nvml, WhatADeviceDoesNotSupportIsEmptyNotZero) {
  const DeviceStats gpu = read_fake({})[1];
  EXPECT_TRUE(gpu.device.healthy);
  EXPECT_FALSE(gpu.utilization_ratio);
  EXPECT_FALSE(gpu.temperature_celsius);
  EXPECT_FALSE(gpu.power_watts);
  EXPECT_FALSE(gpu.ecc_errors_corrected);
  EXPECT_FALSE(gpu.pcie_transmit_bytes_per_second);
  EXPECT_TRUE(gpu.processes.empty());
}

TEST(Nvml, AMissingOrForeignLibraryIsUnavailable) {
  InventoryOptions options;
  for (const char* path : {"/nonexistent/libnvidia-ml.so.1", "libm.so.6"}) {
    options.nvml_path = path;
    const auto devices = open_nvml(options);
    ASSERT_FALSE(devices.ok()) << path;
    EXPECT_EQ(devices.error().code, Code::unavailable);
  }
}

TEST(Inventory, WithoutNvmlTheCpuIsOneDeviceWithItsDeclaredBudget) {
  InventoryOptions options;
  options.use_nvml = false;
  options.cpu_memory = 6LL << 30;
  options.slots = 3;
  const auto stats = open_devices(options)->read({});
  ASSERT_EQ(stats.size(), 1U);
  EXPECT_EQ(stats[0].device.kind, "cpu");
  EXPECT_EQ(stats[0].device.memory_total, 6LL << 30);
  EXPECT_EQ(stats[0].device.memory_foreign, 0);
  EXPECT_EQ(stats[0].device.slots, 3);
  EXPECT_GT(stats[0].memory_free, 0);
}

TEST(Inventory, TheDefaultBudgetLeavesRoomForTheMachine) {
  InventoryOptions options;
  options.use_nvml = false;
  const auto stats = open_devices(options)->read({});
  EXPECT_GT(stats[0].device.memory_total, 0);
  EXPECT_LT(stats[0].device.memory_total, memory_total());
  const Inventory inventory = machine_inventory(options, stats);
  EXPECT_GE(inventory.cpus, 1);
  EXPECT_EQ(inventory.ram_total, memory_total());
}

}  // namespace
}  // namespace llmctl::worker
