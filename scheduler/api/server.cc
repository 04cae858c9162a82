#include "scheduler/api/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <thread>

#include "core/base/limits.h"
#include "core/base/log.h"
#include "scheduler/api/service.h"
#include "scheduler/fleet/fleet_server.h"
#include "scheduler/loop/loop.h"
#include "scheduler/store/sqlite_archive.h"
#include "scheduler/store/sqlite_store.h"

namespace llmctl {
namespace {

constexpr size_t kWorkQueue = 65'536;         // posted functions; see work_thread.h
constexpr int kStreamsPerConnection = 1'024;  // concurrent calls of one client
constexpr size_t kServerMemory = 512 << 20;   // of gRPC's buffers, all clients together
constexpr int kKeepaliveMs = 20'000;          // finds peers that vanished without a word
constexpr int kPingsApartMs = 5'000;          // clients may ping this often
constexpr Millis kStopWait = 500;  // calls in progress at a stop; idle clients do not answer

class GrpcServer final : public Server, private LoopListener {
 public:
  GrpcServer(const ServerOptions& options,
             const DataDir& directory,
             const Clock& clock,
             prometheus::Registry& registry,
             std::unique_ptr<SqliteStore> store,
             std::unique_ptr<SqliteArchive> archive)
      : store_(std::move(store)),
        archive_(std::move(archive)),
        config_(options.scheduler),
        metrics_(registry, clock, options.version),
        loop_(config_, *store_, DiskReserve(directory.reserve_path()), clock, metrics_),
        parts_{loop_, *archive_, archive_thread_, streams_, clock, metrics_, config_},
        watchers_(parts_),
        logs_(parts_, fleet_),
        fleet_(parts_, logs_),
        scheduler_service_(
            parts_,
            watchers_,
            logs_,
            SchedulerService::About{options.version, clock.unix_ms(), options.metrics_port}),
        fleet_service_(fleet_) {}

  ~GrpcServer() override { stop(); }

  Status listen(const AccessOptions& access) {
    auto credentials = TRY(server_credentials(access));
    TRY(loop_.load());
    (void)loop_.query([this](const State& state) {
      streams_.try_post([this, seq = state.last_seq] { watchers_.start(seq); });
      log_info("loaded", {{"jobs", std::to_string(state.jobs.size())},
                          {"workers", std::to_string(state.workers.size())},
                          {"seq", state.last_seq.str()}});
    });
    loop_thread_ = std::jthread([this] { loop_.run(*this); });
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    configure(builder);
    int port = 0;
    builder.AddListeningPort(access.listen, credentials, &port);
    builder.RegisterService(&scheduler_service_);
    builder.RegisterService(&fleet_service_);
    server_ = builder.BuildAndStart();
    if (!server_ || port == 0) {
      return Error{Code::unavailable, "cannot listen on " + access.listen,
                   "is the port in use? --listen 127.0.0.1:0 takes a free one"};
    }
    address_ = access.listen.substr(0, access.listen.rfind(':')) + ':' + std::to_string(port);
    return ok_status();
  }

  std::string address() const override { return address_; }

  void stop() override {
    const Error stopping{Code::unavailable, "the scheduler is stopping", ""};
    streams_.try_post([this, stopping] {
      watchers_.close_all(stopping);
      logs_.close_all(stopping);
      fleet_.close_all(stopping);
    });
    if (server_) {
      server_->Shutdown(
          gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_millis(kStopWait, GPR_TIMESPAN)));
      server_->Wait();
      server_.reset();
    }
    loop_.stop();
    if (loop_thread_.joinable()) loop_thread_.join();
    archive_thread_.stop();
    streams_.stop();
  }

 private:
  static void configure(grpc::ServerBuilder& builder) {
    grpc::ResourceQuota quota("llmctl-scheduler");
    quota.Resize(kServerMemory);
    builder.SetResourceQuota(quota);
    builder.SetMaxReceiveMessageSize(static_cast<int>(limits::kMessageBytes));
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsPerConnection);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                               kPingsApartMs);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a second scheduler must fail
  }

  // LoopListener, on the loop thread.
  bool committed(std::shared_ptr<const std::vector<Event>> events) override {
    return streams_.try_post([this, events = std::move(events)] { watchers_.publish(*events); });
  }
  bool events_missed() override {
    return streams_.try_post([this] { watchers_.events_missed(); });
  }
  bool desired(WorkerId worker, std::vector<RunOrder> orders) override {
    return streams_.try_post(
        [this, worker, orders = std::move(orders)] { fleet_.send_desired(worker, orders); });
  }
  bool state_reloaded() override {
    return streams_.try_post([this] {
      fleet_.close_all(Error{Code::unavailable, "the scheduler lost its last transaction", ""});
    });
  }

  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<SqliteArchive> archive_;
  const SchedulerConfig config_;
  SchedulerMetrics metrics_;
  WorkThread archive_thread_{kWorkQueue};
  WorkThread streams_{kWorkQueue};
  Loop loop_;
  ServerParts parts_;
  WatchHub watchers_;
  LogRouter logs_;
  FleetHub fleet_;
  SchedulerService scheduler_service_;
  FleetService fleet_service_;
  std::unique_ptr<grpc::Server> server_;
  std::jthread loop_thread_;
  std::string address_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::start(const ServerOptions& options,
                                              const DataDir& directory,
                                              const Clock& clock,
                                              prometheus::Registry& registry) {
  auto store = TRY(SqliteStore::open(directory.store_path()));
  const Status compacted = store->compact(limits::kEventsKept);
  if (!compacted.ok()) {
    if (compacted.error().code != Code::resource_exhausted) return compacted.error();
    log_info("no room to compact the store", {{"error", compacted.error().message}});
  }
  auto archive = TRY(SqliteArchive::open(directory.store_path()));
  auto server = std::make_unique<GrpcServer>(options, directory, clock, registry, std::move(store),
                                             std::move(archive));
  TRY(server->listen(options.access));
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace llmctl
