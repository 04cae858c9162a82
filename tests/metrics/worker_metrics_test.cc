// WorkerMetrics and DeviceMetrics: what a scrape shows of devices and runs.
#include "worker/metrics/metrics.h"

#include <gtest/gtest.h>

#include "tests/metrics/scrape.h"

namespace llmctl::worker {
namespace {

using llmctl::testing::samples;

DeviceStats full_gpu() {
  DeviceStats s;
  s.device.kind = "cuda";
  s.device.uuid = "GPU-1";
  s.device.name = "NVIDIA GeForce RTX 4090";
  s.device.memory_total = 24'000;
  s.device.memory_foreign = 500;
  s.memory_used = 1'500;
  s.utilization_ratio = 0.5;
  s.memory_utilization_ratio = 0.25;
  s.temperature_celsius = 60;
  s.power_watts = 300;
  s.power_limit_watts = 450;
  s.energy_joules = 1'000;
  s.sm_clock_hertz = 2.5e9;
  s.memory_clock_hertz = 1e10;
  s.pcie_transmit_bytes_per_second = 10;
  s.pcie_receive_bytes_per_second = 20;
  s.ecc_errors_corrected = 1;
  s.ecc_errors_uncorrected = 0;
  s.xid_errors = 2;
  s.throttle_reasons = {"sw_power_cap"};
  s.processes = {{1, 1'000, true}, {2, 500, false}, {3, 0, false}};
  return s;
}

class WorkerMetricsTest : public ::testing::Test {
 protected:
  static Inventory inventory() {
    Inventory i;
    i.version = "1.2.3";
    i.cpus = 2;
    i.ram_total = 8'000;
    return i;
  }
  static worker::Run run_at(RunStatus::Phase phase, int64_t step) {
    worker::Run run;
    run.status.phase = phase;
    run.progress.step = step;
    run.last_line_boot_ms = 1'000;
    return run;
  }
  bool has(const std::string& text) {
    return llmctl::testing::page(registry).find(text) != std::string::npos;
  }
  std::map<std::string, double> now() { return samples(registry); }

  prometheus::Registry registry;
  WorkerMetrics metrics{registry, inventory()};
};

TEST_F(WorkerMetricsTest, ShowsEveryFieldTheDriverGives) {
  metrics.observe_devices({full_gpu()}, 4'000);
  auto all = now();
  EXPECT_EQ(all["llmctl_gpu_memory_used_bytes{gpu=\"0\"}"], 1'500);
  EXPECT_EQ(all["llmctl_gpu_utilization_ratio{gpu=\"0\"}"], 0.5);
  EXPECT_EQ(all["llmctl_gpu_power_limit_watts{gpu=\"0\"}"], 450);
  EXPECT_EQ(all["llmctl_gpu_energy_joules_total{gpu=\"0\"}"], 1'000);
  EXPECT_EQ(all["llmctl_gpu_xid_errors_total{gpu=\"0\"}"], 2);
  EXPECT_EQ(all["llmctl_gpu_ecc_errors_total{gpu=\"0\",kind=\"corrected\"}"], 1);
  EXPECT_EQ(all["llmctl_gpu_throttle{gpu=\"0\",reason=\"sw_power_cap\"}"], 1);
  EXPECT_EQ(all["llmctl_gpu_pcie_bytes_per_second{direction=\"receive\",gpu=\"0\"}"], 20);
  EXPECT_EQ(all["llmctl_gpu_processes{gpu=\"0\",owner=\"foreign\"}"], 2);
  EXPECT_EQ(all["llmctl_gpu_info{gpu=\"0\",name=\"NVIDIA GeForce RTX 4090\",uuid=\"GPU-1\"}"], 1);
  EXPECT_EQ(all["llmctl_host_memory_available_bytes"], 4'000);
}

TEST_F(WorkerMetricsTest, AFieldTheDriverDoesNotGiveHasNoSeries) {
  DeviceStats s = full_gpu();
  s.temperature_celsius.reset();
  s.energy_joules.reset();
  metrics.observe_devices({s}, 0);
  EXPECT_FALSE(has("llmctl_gpu_temperature_celsius{"));
  EXPECT_FALSE(has("llmctl_gpu_energy_joules_total{"));
  metrics.observe_devices({full_gpu()}, 0);
  EXPECT_TRUE(has("llmctl_gpu_temperature_celsius{"));
}

TEST_F(WorkerMetricsTest, ADriverCounterThatStartsAnewIsNotCountedTwice) {
  DeviceStats s = full_gpu();
  metrics.observe_devices({s}, 0);
  s.energy_joules = 10;  // the driver was loaded anew
  metrics.observe_devices({s}, 0);
  s.energy_joules = 15;
  metrics.observe_devices({s}, 0);
  EXPECT_EQ(now()["llmctl_gpu_energy_joules_total{gpu=\"0\"}"], 1'005);
}

TEST_F(WorkerMetricsTest, AThrottleReasonThatPassedIsZero) {
  DeviceStats s = full_gpu();
  metrics.observe_devices({s}, 0);
  s.throttle_reasons = {"hw_thermal_slowdown"};
  metrics.observe_devices({s}, 0);
  EXPECT_EQ(now()["llmctl_gpu_throttle{gpu=\"0\",reason=\"sw_power_cap\"}"], 0);
  EXPECT_EQ(now()["llmctl_gpu_throttle{gpu=\"0\",reason=\"hw_thermal_slowdown\"}"], 1);
}

TEST_F(WorkerMetricsTest, ADeviceThatIsGoneHasNoSeries) {
  metrics.observe_devices({full_gpu()}, 0);
  metrics.observe_devices({}, 0);
  EXPECT_FALSE(has("gpu=\"0\""));
}

TEST_F(WorkerMetricsTest, ACpuShowsItsBudgetAndNoGpu) {
  DeviceStats s;
  s.device.memory_total = 6'000;
  s.memory_used = 100;
  metrics.observe_devices({s}, 0);
  EXPECT_EQ(now()["llmctl_cpu_memory_budget_bytes{cpu=\"0\"}"], 6'000);
  EXPECT_EQ(now()["llmctl_cpu_memory_used_bytes{cpu=\"0\"}"], 100);
  EXPECT_FALSE(has("llmctl_gpu_memory_used_bytes{"));
}

TEST_F(WorkerMetricsTest, ADiskThatCannotBeAskedHasNoSeries) {
  std::filesystem::space_info space{};
  space.capacity = 1'000;
  space.available = 400;
  metrics.observe_disk("jobs", space);
  EXPECT_EQ(now()["llmctl_disk_available_bytes{folder=\"jobs\"}"], 400);
  EXPECT_EQ(now()["llmctl_disk_size_bytes{folder=\"jobs\"}"], 1'000);
  std::error_code missing;
  metrics.observe_disk("jobs", std::filesystem::space("/no/such/folder", missing));
  EXPECT_FALSE(has("llmctl_disk_available_bytes{"));
}

TEST_F(WorkerMetricsTest, CountsRunsByPhaseAndEachEndOnce) {
  std::map<RunKey, worker::Run> runs;
  runs[{JobId{1}, Epoch{1}, 0}] = run_at(RunStatus::Phase::up, 5);
  runs[{JobId{2}, Epoch{1}, 0}] = run_at(RunStatus::Phase::ended, 9);
  runs[{JobId{2}, Epoch{1}, 0}].status.outcome = Outcome::oom;
  metrics.observe_runs(runs, 4'000);
  metrics.observe_runs(runs, 4'000);
  auto all = now();
  EXPECT_EQ(all["llmctl_worker_runs{phase=\"up\"}"], 1);
  EXPECT_EQ(all["llmctl_worker_runs{phase=\"ended\"}"], 1);
  EXPECT_EQ(all["llmctl_worker_runs_ended_total{outcome=\"oom\"}"], 1);
  EXPECT_EQ(all["llmctl_rank_step{job_id=\"1\",rank=\"0\"}"], 5);
  EXPECT_EQ(all["llmctl_rank_silence_seconds{job_id=\"1\",rank=\"0\"}"], 3);
  EXPECT_FALSE(has("llmctl_rank_step{job_id=\"2\""));
}

TEST_F(WorkerMetricsTest, ARankIsShownByItsNewestAttempt) {
  std::map<RunKey, worker::Run> runs;
  runs[{JobId{1}, Epoch{1}, 0}] = run_at(RunStatus::Phase::up, 50);  // being killed
  runs[{JobId{1}, Epoch{2}, 0}] = run_at(RunStatus::Phase::up, 3);
  metrics.observe_runs(runs, 1'000);
  EXPECT_EQ(now()["llmctl_rank_step{job_id=\"1\",rank=\"0\"}"], 3);
  runs.clear();
  metrics.observe_runs(runs, 1'000);
  EXPECT_FALSE(has("llmctl_rank_step{"));
}

TEST_F(WorkerMetricsTest, PageObeysThePrometheusRules) {
  DeviceStats cpu;
  metrics.observe_devices({cpu, full_gpu()}, 1);
  metrics.observe_runs({{{JobId{1}, Epoch{1}, 0}, run_at(RunStatus::Phase::up, 5)}}, 2'000);
  metrics.observe_link(true, 3);
  metrics.line_read(true);
  metrics.log_sent(10);
  llmctl::testing::expect_clean_page(llmctl::testing::page(registry));
}

}  // namespace
}  // namespace llmctl::worker
