#include "worker/link/wire.h"

#include "core/base/limits.h"
#include "proto/convert.h"

namespace llmctl::worker {

static constexpr Millis kLeaseMax = 3'600'000;  // an hour without a scheduler is a lost worker

template <class Wire>
static void write_statuses(const std::vector<RunStatus>& runs, Wire& message) {
  for (const RunStatus& run : runs) *message.add_runs() = llmctl::to_wire(run);
}

static void write(const Hello& hello, v1::WorkerMessage& message) {
  v1::Hello& out = *message.mutable_hello();
  out.set_name(hello.name);
  out.set_instance(hello.instance);
  *out.mutable_inventory() = llmctl::to_wire(hello.inventory);
  write_statuses(hello.runs, out);
  out.set_cluster_id(hello.cluster_id);
  out.set_made_boot_ms(hello.made_boot_ms);
}

static void write(const Heartbeat& heartbeat, v1::WorkerMessage& message) {
  v1::Heartbeat& out = *message.mutable_heartbeat();
  out.set_number(heartbeat.number);
  for (const Device& device : heartbeat.devices) *out.add_devices() = llmctl::to_wire(device);
  write_statuses(heartbeat.runs, out);
}

static void write(const RunReport& report, v1::WorkerMessage& message) {
  v1::RunReport& out = *message.mutable_report();
  out.set_job_id(report.run.job.value);
  out.set_epoch(report.run.epoch.value);
  out.set_rank(report.run.rank);
  if (const auto* progress = std::get_if<Progressed>(&report.report)) {
    *out.mutable_progress() = llmctl::to_wire(*progress);
  } else if (const auto* made = std::get_if<CheckpointCommitted>(&report.report)) {
    *out.mutable_checkpoint() = llmctl::to_wire(*made);
  } else if (const auto* removed = std::get_if<CheckpointRemoved>(&report.report)) {
    *out.mutable_checkpoint_removed() = llmctl::to_wire(*removed);
  } else if (const auto* sample = std::get_if<SampleGenerated>(&report.report)) {
    *out.mutable_sample() = llmctl::to_wire(*sample);
  }
}

static void write(const LogData& log, v1::WorkerMessage& message) {
  v1::LogData& out = *message.mutable_log();
  out.set_request(log.request);
  out.set_data(log.data);
  out.set_end(log.end);
  out.set_error(log.error);
}

v1::WorkerMessage to_wire(const ToScheduler& message) {
  v1::WorkerMessage out;
  std::visit([&](const auto& body) { write(body, out); }, message);
  return out;
}

static constexpr size_t kClusterIdMost = 64;

static Error wrong(const std::string& what) {
  return {Code::invalid_argument, "message of the scheduler: " + what, ""};
}

static Result<FromScheduler> read(const v1::Welcome& in) {
  if (in.worker_id() <= 0) return wrong("welcome.worker_id: expected > 0");
  if (in.lease_ms() <= 0 || in.lease_ms() > kLeaseMax) return wrong("welcome.lease_ms");
  if (in.heartbeat_ms() <= 0 || in.heartbeat_ms() > in.lease_ms()) {
    return wrong("welcome.heartbeat_ms: expected 1 to lease_ms");
  }
  if (in.cluster_id().size() > kClusterIdMost) return wrong("welcome.cluster_id: too long");
  return FromScheduler(
      Welcome{WorkerId{in.worker_id()}, in.lease_ms(), in.heartbeat_ms(), in.cluster_id()});
}

static Result<RunOrder> read(const v1::RunOrder& in) {
  RunOrder order;
  auto config = parse_run_config(in.config_json());
  if (!config.ok() && in.job_id() == 0) return config.error();
  if (config.ok()) {
    order.config = std::move(config).value();
  } else {  // the others of the message must be heard: this one ends by itself
    order.problem = config.error().message;
    order.config.job_id = in.job_id();
    order.config.epoch = in.epoch();
    order.config.rank = in.rank();
  }
  if (order.config.job_id <= 0 || order.config.epoch <= 0)
    return wrong("desired: a run without id");
  if (in.stop() == "checkpoint") {
    order.stop = RunOrder::Stop::checkpoint;
  } else if (in.stop() == "kill") {
    order.stop = RunOrder::Stop::kill;
  } else if (!in.stop().empty()) {
    return wrong("desired.stop: unknown value");
  }
  return order;
}

static Result<FromScheduler> read(const v1::Desired& in) {
  Desired desired;
  for (const v1::RunOrder& order : in.runs()) desired.runs.push_back(TRY(read(order)));
  desired.part = in.part();
  desired.more = in.more();
  return FromScheduler(std::move(desired));
}

static Result<FromScheduler> read(const v1::LogRead& in) {
  if (in.tail_bytes() < 0) return wrong("log_read.tail_bytes: expected >= 0");
  const RunKey run{JobId{in.job_id()}, Epoch{in.epoch()}, in.rank()};
  return FromScheduler(LogRead{in.request(), run, in.tail_bytes(), in.follow(), in.cancel()});
}

Result<FromScheduler> from_wire(const v1::SchedulerMessage& message) {
  switch (message.body_case()) {
    case v1::SchedulerMessage::kWelcome:
      return read(message.welcome());
    case v1::SchedulerMessage::kAck:
      return FromScheduler(HeartbeatAck{message.ack().number()});
    case v1::SchedulerMessage::kDesired:
      return read(message.desired());
    case v1::SchedulerMessage::kLogRead:
      return read(message.log_read());
    case v1::SchedulerMessage::BODY_NOT_SET:
      break;
  }
  return wrong("of a kind this worker does not know");
}

}  // namespace llmctl::worker
