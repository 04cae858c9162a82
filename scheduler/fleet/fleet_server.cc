#include "scheduler/fleet/fleet_server.h"

#include <algorithm>
#include <deque>
#include <nlohmann/json.hpp>

#include "core/base/limits.h"
#include "core/base/log.h"
#include "proto/checks.h"
#include "proto/convert.h"
#include "proto/status.h"
#include "scheduler/fleet/log_router.h"

namespace llmctl {
namespace {

constexpr int kInFlight = 256;  // inputs of one worker that wait for the loop
constexpr size_t kPartBytes = limits::kMessageBytes / 4;  // of a desired set; one order may be half
constexpr size_t kWaitingMessages = 1'024;                // messages that wait for one worker

const char* stop_text(RunOrder::Stop stop) {
  switch (stop) {
    case RunOrder::Stop::none:
      return "";
    case RunOrder::Stop::checkpoint:
      return "checkpoint";
    case RunOrder::Stop::kill:
      return "kill";
  }
  return "";
}

auto statuses(const google::protobuf::RepeatedPtrField<v1::RunStatus>& runs) {
  return wire::list("runs", runs, limits::kRunsTold,
                    [](const v1::RunStatus& run) { return from_wire(run); });
}

Result<HelloInput> read_hello(const v1::Hello& hello) {
  HelloInput out;
  out.name = TRY(wire::file_name("hello.name", hello.name()));
  out.instance = TRY(wire::text("hello.instance", hello.instance(), limits::kNameBytes));
  out.inventory = TRY(wire::inside("hello.inventory", from_wire(hello.inventory())));
  out.runs = TRY(wire::inside("hello", statuses(hello.runs())));
  TRY(wire::text("hello.cluster_id", hello.cluster_id(), limits::kNameBytes));
  out.made_boot_ms = TRY(wire::at_least("hello.made_boot_ms", hello.made_boot_ms(), int64_t{0}));
  return out;
}

Result<HeartbeatInput> read_heartbeat(const v1::Heartbeat& heartbeat) {
  HeartbeatInput out;
  out.devices = TRY(wire::list("heartbeat.devices", heartbeat.devices(), limits::kDevicesPerWorker,
                               [](const v1::Device& device) { return from_wire(device); }));
  out.runs = TRY(wire::inside("heartbeat", statuses(heartbeat.runs())));
  return out;
}

Result<ReportInput> read_report(const v1::RunReport& report) {
  ReportInput out;
  out.job.value = TRY(wire::at_least("report.job_id", report.job_id(), int64_t{1}));
  out.epoch.value = TRY(wire::at_least("report.epoch", report.epoch(), int64_t{1}));
  out.rank = TRY(wire::at_least("report.rank", report.rank(), 0));
  switch (report.report_case()) {
    case v1::RunReport::kProgress:
      out.report = TRY(wire::inside("report.progress", from_wire(report.progress())));
      return out;
    case v1::RunReport::kCheckpoint:
      out.report = TRY(wire::inside("report.checkpoint", from_wire(report.checkpoint())));
      return out;
    case v1::RunReport::kCheckpointRemoved:
      out.report =
          TRY(wire::inside("report.checkpoint_removed", from_wire(report.checkpoint_removed())));
      return out;
    case v1::RunReport::kSample:
      out.report = TRY(wire::inside("report.sample", from_wire(report.sample())));
      return out;
    case v1::RunReport::REPORT_NOT_SET:
      break;
  }
  return wire::bad_field("report", "missing or of a newer version");
}

}  // namespace

class FleetSession final : public grpc::ServerBidiReactor<v1::WorkerMessage, v1::SchedulerMessage>,
                           public std::enable_shared_from_this<FleetSession> {
 public:
  FleetSession(FleetHub& hub, grpc::CallbackServerContext* context)
      : hub_(hub), context_(context) {}

  void begin() {
    self_ = shared_from_this();
    hub_.parts_.streams.post([this] {
      if (hub_.sessions_.size() >= limits::kWorkers) {
        return finish({Code::resource_exhausted, "too many workers are connected", ""});
      }
      hub_.sessions_.insert(self_);
      StartRead(&incoming_);
    });
  }

  void send(v1::SchedulerMessage message) {
    if (waiting_.size() >= kWaitingMessages) {
      return finish({Code::resource_exhausted, "the worker does not read its messages", ""});
    }
    waiting_.push_back(std::move(message));
    write_next();
  }

  // Only the newest set matters, so what was not written yet of another is replaced.
  void send_desired(std::deque<v1::Desired> parts) {
    desired_ = std::move(parts);
    write_next();
  }

  void finish(const Error& why) { finish(to_status(why)); }

 private:
  void finish(const grpc::Status& status) {
    if (finished_) return;
    finished_ = true;
    Finish(status);
    step_down();
  }

  // From now on this session does not stand for its worker. If a newer connection has taken over,
  // the worker is not reported as disconnected.
  void step_down() {
    const auto named = hub_.by_name_.find(name_);
    const bool current = named != hub_.by_name_.end() && named->second == this;
    if (current) hub_.by_name_.erase(named);
    const auto known = hub_.by_worker_.find(worker_);
    if (known == hub_.by_worker_.end() || known->second != this) return;
    hub_.by_worker_.erase(known);
    hub_.logs_.worker_gone(worker_);
    if (current) (void)hub_.parts_.loop.post(DisconnectInput{worker_, instance_}, nullptr);
  }

  void OnReadDone(bool ok) override {
    hub_.parts_.streams.post([this, ok] {
      if (!ok) return finish(grpc::Status::OK);
      if (!finished_) receive();
    });
  }
  void OnWriteDone(bool ok) override {
    hub_.parts_.streams.post([this, ok] {
      writing_ = false;
      if (!ok) return finish(grpc::Status(grpc::StatusCode::CANCELLED, "the worker has gone"));
      write_next();
    });
  }
  void OnCancel() override {
    hub_.parts_.streams.post(
        [this] { finish(grpc::Status(grpc::StatusCode::CANCELLED, "the worker has gone")); });
  }
  void OnDone() override {
    if (!hub_.parts_.streams.post([this] { end(); })) end();
  }
  void end() {
    finish(grpc::Status::CANCELLED);
    hub_.sessions_.erase(self_);
    self_.reset();
  }

  void receive() {
    switch (incoming_.body_case()) {
      case v1::WorkerMessage::kHello:
        return on_hello(incoming_.hello());
      case v1::WorkerMessage::kHeartbeat:
        return on_heartbeat(incoming_.heartbeat());
      case v1::WorkerMessage::kReport:
        return on_report(incoming_.report());
      case v1::WorkerMessage::kLog:
        hub_.logs_.receive(worker_, incoming_.log());
        return read_next();
      case v1::WorkerMessage::BODY_NOT_SET:
        break;
    }
    finish({Code::invalid_argument, "message without a body, or of a newer version", ""});
  }

  bool holds_runs_of_another_cluster(const v1::Hello& hello) const {
    if (hello.cluster_id().empty() || hello.cluster_id() == hub_.parts_.cluster_id) return false;
    return std::any_of(hello.runs().begin(), hello.runs().end(),
                       [](const v1::RunStatus& run) { return run.phase() != "ended"; });
  }

  void on_hello(const v1::Hello& message) {
    if (!name_.empty()) return finish({Code::failed_precondition, "hello comes once", ""});
    auto hello = read_hello(message);
    if (!hello.ok()) return finish(hello.error());
    if (holds_runs_of_another_cluster(message)) {
      return finish({Code::failed_precondition,
                     "worker " + hello->name + " still holds runs of another cluster (" +
                         message.cluster_id() + ")",
                     "stop them there, or give it another --work-dir"});
    }
    name_ = hello->name;
    instance_ = hello->instance;
    hello->address = context_->peer();
    // Nothing more is read until the worker has its id.
    post(std::move(hello).value(), [this](const Answer& answer) { on_welcome(answer); });
  }

  // Two connections are welcomed in the order in which the loop has taken their hellos.
  void on_welcome(const Answer& answer) {
    FleetSession* const replaced = std::exchange(hub_.by_name_[name_], this);
    if (replaced != nullptr) {
      replaced->finish({Code::aborted, "replaced by a newer connection of " + name_, ""});
    }
    worker_ = answer.worker;
    log_info("worker connected", {{"worker", name_}, {"id", worker_.str()}});
    hub_.by_worker_[worker_] = this;
    v1::SchedulerMessage message;
    v1::Welcome& welcome = *message.mutable_welcome();
    welcome.set_worker_id(worker_.value);
    welcome.set_cluster_id(hub_.parts_.cluster_id);
    welcome.set_lease_ms(hub_.parts_.config.lease_ms);
    // A third of a short lease (tests, small clusters) still leaves two tries.
    welcome.set_heartbeat_ms(std::min(limits::kHeartbeat, hub_.parts_.config.lease_ms / 3));
    send(std::move(message));
    read_next();
  }

  void on_heartbeat(const v1::Heartbeat& message) {
    if (!worker_) return finish({Code::failed_precondition, "hello comes first", ""});
    auto heartbeat = read_heartbeat(message);
    if (!heartbeat.ok()) return finish(heartbeat.error());
    heartbeat->worker = worker_;
    heartbeat->instance = instance_;
    post(std::move(heartbeat).value(), [this, number = message.number()](const Answer&) {
      v1::SchedulerMessage ack;
      ack.mutable_ack()->set_number(number);
      send(std::move(ack));
    });
    read_next();
  }

  void on_report(const v1::RunReport& message) {
    if (!worker_) return finish({Code::failed_precondition, "hello comes first", ""});
    auto report = read_report(message);
    if (!report.ok()) return finish(report.error());
    report->worker = worker_;
    post(std::move(report).value(), [](const Answer&) {});
    read_next();
  }

  // `then` runs here, on the streams thread, once the input was applied and is durable.
  template <class Then>
  void post(InputBody&& input, Then then) {
    ++in_flight_;
    auto self = self_;
    const bool posted = hub_.parts_.loop.post(
        std::move(input), [this, self, then](const Answer& answer, const State&) {
          const bool back = hub_.parts_.streams.try_post([this, self, then, answer] {
            --in_flight_;
            if (finished_) return forget(answer.worker);
            if (answer.error) return finish(*answer.error);
            then(answer);
            if (reading_paused_) read_next();
          });
          if (!back) context_->TryCancel();  // the worker comes back and tells everything again
        });
    if (!posted) finish(too_busy());
  }

  // The stream ended between hello and welcome: nobody else will say that the worker is away.
  void forget(WorkerId welcomed) {
    if (!welcomed || worker_ || hub_.by_name_.contains(name_)) return;
    (void)hub_.parts_.loop.post(DisconnectInput{welcomed, instance_}, nullptr);
  }

  void read_next() {
    reading_paused_ = in_flight_ >= kInFlight;
    if (!reading_paused_ && !finished_) StartRead(&incoming_);
  }

  void write_next() {
    if (writing_ || finished_) return;
    if (!waiting_.empty()) {
      outgoing_ = std::move(waiting_.front());
      waiting_.pop_front();
    } else if (!desired_.empty()) {
      *outgoing_.mutable_desired() = std::move(desired_.front());
      desired_.pop_front();
    } else {
      return;
    }
    writing_ = true;
    StartWrite(&outgoing_);
  }

  FleetHub& hub_;
  grpc::CallbackServerContext* context_;
  std::shared_ptr<FleetSession> self_;  // until OnDone
  std::string name_, instance_;         // empty: no hello yet
  WorkerId worker_;                     // 0: not welcomed yet
  v1::WorkerMessage incoming_;
  v1::SchedulerMessage outgoing_;
  std::deque<v1::SchedulerMessage> waiting_;
  std::deque<v1::Desired> desired_;  // parts of the newest set
  int in_flight_ = 0;
  bool reading_paused_ = false;
  bool writing_ = false;
  bool finished_ = false;
};

grpc::ServerBidiReactor<v1::WorkerMessage, v1::SchedulerMessage>* FleetHub::open(
    grpc::CallbackServerContext* context) {
  const auto session = std::make_shared<FleetSession>(*this, context);
  session->begin();
  return session.get();
}

void FleetHub::send_desired(WorkerId worker, const std::vector<RunOrder>& orders) {
  const auto session = by_worker_.find(worker);
  if (session == by_worker_.end()) return;  // it is told when it comes back
  std::deque<v1::Desired> parts(1);
  size_t bytes = 0;
  for (const RunOrder& order : orders) {
    if (bytes > kPartBytes) {
      parts.back().set_more(true);
      parts.emplace_back().set_part(static_cast<int32_t>(parts.size()) - 1);
      bytes = 0;
    }
    v1::RunOrder& run = *parts.back().add_runs();
    run.set_config_json(wire::utf8(to_json(order.config).dump()));
    run.set_stop(stop_text(order.stop));
    run.set_job_id(order.config.job_id);
    run.set_epoch(order.config.epoch);
    run.set_rank(order.config.rank);
    bytes += run.ByteSizeLong();
  }
  session->second->send_desired(std::move(parts));
}

bool FleetHub::send(WorkerId worker, v1::LogRead read) {
  const auto session = by_worker_.find(worker);
  if (session == by_worker_.end()) return false;
  v1::SchedulerMessage message;
  *message.mutable_log_read() = std::move(read);
  session->second->send(std::move(message));
  return true;
}

void FleetHub::close_all(const Error& why) {
  for (const auto& session : sessions_) session->finish(why);
}

}  // namespace llmctl
