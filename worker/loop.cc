#include "worker/loop.h"

#include <poll.h>

#include <algorithm>
#include <array>

#include "core/base/log.h"

namespace llmctl::worker {

static constexpr Millis kRunsPollPeriod = 200;  // a supervisor that was killed sends no event
static constexpr Millis kLogsPollPeriod = 50;   // of somebody who follows
static constexpr Millis kDevicesPeriod = 5'000;
static constexpr Millis kExportPeriod = 1'000;
static constexpr Bytes kLogBytesInFlight = 1 << 20;  // so that heartbeats never wait behind logs

Loop::Loop(LoopParts parts)
    : parts_(std::move(parts)),
      logs_([this](const RunKey& run) { return parts_.host.find(run); }) {}

void Loop::run(int stop_fd) {
  for (const FoundRun& found : parts_.host.adopt_all()) {
    parts_.agent.adopt(found.run, found.lease_until_boot_ms);
  }
  do observe();  // the first hello says how every one of them stands
  while (parts_.host.has_more());
  do {
    parts_.link.tick();
    receive_messages();
    observe();
    read_devices();
    parts_.agent.tick();
    send();
    export_metrics();
  } while (wait(stop_fd));
}

void Loop::receive_messages() {
  for (const FromScheduler& message : parts_.link.receive()) {
    if (const auto* log = std::get_if<LogRead>(&message)) logs_.receive(*log);
    if (std::holds_alternative<Disconnected>(message)) logs_.clear();
    parts_.agent.receive(message);
  }
}

void Loop::observe() {
  for (const Observed& one : parts_.host.observe()) {
    if (const auto* exit = std::get_if<ExitFile>(&one.what)) {
      parts_.agent.on_exit(one.run, exit->outcome, exit->detail);
      continue;
    }
    const ReportLine& line = std::get<ReportLine>(one.what);
    parts_.agent.on_report_line(one.run, line);
    parts_.metrics.line_read(!std::holds_alternative<IgnoredLine>(line));
  }
}

void Loop::read_devices() {
  const Millis now = parts_.clock.boot_ms();
  if (devices_read_boot_ms_ != 0 && now - devices_read_boot_ms_ < kDevicesPeriod) return;
  devices_read_boot_ms_ = now;
  const auto stats = parts_.devices.read(parts_.host.trainer_pids());
  parts_.metrics.observe_devices(stats, memory_available());
  for (const auto& [label, folder] : parts_.folders) {
    std::error_code unknown;
    parts_.metrics.observe_disk(label, std::filesystem::space(folder, unknown));
  }
  std::vector<Device> devices;
  devices.reserve(stats.size());
  for (const DeviceStats& one : stats) devices.push_back(one.device);
  parts_.agent.set_devices(std::move(devices));
  if (parts_.agent.jobs_folder_changed()) {
    log_sentence("worker", "another jobs folder is there than before: saying hello again");
    parts_.link.hang_up();
  }
}

void Loop::send() {
  for (const ToScheduler& message : parts_.agent.take_outbox(parts_.link.room()))
    parts_.link.send(message);
  const Bytes room = kLogBytesInFlight - parts_.link.queued_bytes();
  if (logs_.idle() || room <= 0) return;
  for (const LogData& piece : logs_.read(room)) {
    parts_.metrics.log_sent(static_cast<Bytes>(piece.data.size()));
    parts_.link.send(piece);
  }
}

void Loop::export_metrics() {
  const Millis now = parts_.clock.boot_ms();
  if (now - exported_boot_ms_ < kExportPeriod) return;
  exported_boot_ms_ = now;
  parts_.metrics.observe_runs(parts_.agent.runs(), now);
  parts_.metrics.observe_link(parts_.agent.connected(), parts_.agent.reports_dropped());
}

// False: time to stop.
bool Loop::wait(int stop_fd) {
  const Millis now = parts_.clock.boot_ms();
  Millis until = std::min(parts_.agent.next_tick_boot_ms(), parts_.link.next_tick_boot_ms());
  if (!parts_.host.idle()) until = std::min(until, now + kRunsPollPeriod);
  if (!logs_.idle()) until = std::min(until, now + kLogsPollPeriod);
  if (parts_.host.has_more()) until = now;
  std::array<pollfd, 3> fds = {{{stop_fd, POLLIN, 0},
                                {parts_.link.wake_fd(), POLLIN, 0},
                                {parts_.host.wake_fd(), POLLIN, 0}}};
  poll(fds.data(), fds.size(), static_cast<int>(std::clamp<Millis>(until - now, 0, 1'000)));
  return fds[0].revents == 0;
}

}  // namespace llmctl::worker
