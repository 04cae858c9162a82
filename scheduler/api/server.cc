#include "scheduler/api/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <algorithm>
#include <thread>

#include "core/base/descriptors.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "scheduler/api/listener.h"
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
constexpr int kHandshakeMs = 20'000;          // who says nothing for so long is closed
constexpr int kConnections = 16'384;   // workers and people; each takes some 20 KiB of gRPC's
constexpr int kDescriptorsKept = 256;  // of the limit: the store, logs, gRPC's own
constexpr Millis kStopWait = 500;      // calls in progress at a stop; idle clients do not answer

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
        parts_{loop_, *archive_, archive_thread_, streams_, clock, metrics_, config_, ""},
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
    listener_ = TRY(Listener::open(access.listen, most_connections()));
    TRY(loop_.load());
    parts_.cluster_id = loop_.cluster_id();
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
    acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, credentials);
    builder.RegisterService(&scheduler_service_);
    builder.RegisterService(&fleet_service_);
    server_ = builder.BuildAndStart();
    if (!server_) return Error{Code::internal, "gRPC does not start", ""};
    listener_->start([this](int listening, int connection) {
      grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters taken;
      taken.listener_fd = listening;
      taken.fd = connection;
      acceptor_->HandleNewConnection(&taken);
    });
    address_ =
        access.listen.substr(0, access.listen.rfind(':')) + ':' + std::to_string(listener_->port());
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
    if (listener_) listener_->stop();
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
  // A small hard limit keeps at least half of its descriptors for clients.
  static int most_connections() {
    const int limit = raise_descriptor_limit();
    return std::min(kConnections, std::max(limit - kDescriptorsKept, limit / 2));
  }
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
    builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMs);
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
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
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
