// The scheduler's end of the worker stream, with a scripted worker on a real connection.
#include <memory>

#include "llmctl/v1/fleet.grpc.pb.h"
#include "tests/scheduler/api/scheduler_process.h"

namespace llmctl::testing {
namespace {

class ScriptedWorker {
 public:
  ScriptedWorker(const SchedulerProcess& scheduler, std::string name)
      : name_(std::move(name)), stub_(v1::Fleet::NewStub(scheduler.channel())) {
    context_.set_deadline(std::chrono::system_clock::now() + kPatience);
    stream_ = stub_->Connect(&context_);
  }
  ~ScriptedWorker() { close(); }

  void hello(const std::string& instance, const v1::Hello& more = {}) {
    v1::WorkerMessage message;
    v1::Hello& hello = *message.mutable_hello();
    hello = more;
    hello.set_name(name_);
    hello.set_instance(instance);
    v1::Device& device = *hello.mutable_inventory()->add_devices();
    device.set_kind("cpu");
    device.set_name("CPU");
    device.set_memory_total(int64_t{8} << 30);
    device.set_slots(4);
    device.set_healthy(true);
    send(message);
  }
  void send(const v1::WorkerMessage& message) { stream_->Write(message); }

  // The next message of this kind; others are passed over.
  bool await(v1::SchedulerMessage::BodyCase kind, v1::SchedulerMessage* message) {
    while (stream_->Read(message)) {
      if (message->body_case() == kind) return true;
    }
    return false;
  }
  grpc::Status close() {
    if (!stream_) return {};
    stream_->WritesDone();
    v1::SchedulerMessage rest;
    while (stream_->Read(&rest)) {
    }
    grpc::Status status = stream_->Finish();
    stream_.reset();
    return status;
  }

 private:
  std::string name_;
  std::unique_ptr<v1::Fleet::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::WorkerMessage, v1::SchedulerMessage>> stream_;
};

struct Fleet : ::testing::Test {
  void SetUp() override { ASSERT_TRUE(scheduler.start()) << scheduler.log(); }
  std::string worker_state() {
    v1::WorkersResponse workers;
    grpc::ClientContext context;
    const bool ok = scheduler.stub->Workers(&context, {}, &workers).ok();
    return ok && workers.workers_size() == 1 ? workers.workers(0).state() : "";
  }
  TestFolder home{"fleet"};
  SchedulerProcess scheduler{home.path() / "data"};
};
using Kind = v1::SchedulerMessage;

TEST_F(Fleet, WelcomesAndAcknowledges) {
  ScriptedWorker worker(scheduler, "w1");
  worker.hello("i1");
  v1::SchedulerMessage message;
  ASSERT_TRUE(worker.await(Kind::kWelcome, &message));
  EXPECT_GT(message.welcome().worker_id(), 0);
  EXPECT_GT(message.welcome().lease_ms(), message.welcome().heartbeat_ms());
  v1::WorkerMessage heartbeat;
  heartbeat.mutable_heartbeat()->set_number(42);
  worker.send(heartbeat);
  ASSERT_TRUE(worker.await(Kind::kAck, &message));
  EXPECT_EQ(message.ack().number(), 42);
  EXPECT_EQ(worker_state(), "ready");
}

TEST_F(Fleet, SendsTheProbeOfASubmittedJob) {
  ScriptedWorker worker(scheduler, "w1");
  worker.hello("i1");
  const int64_t id = scheduler.submit(small_spec("probed"));
  v1::SchedulerMessage message;
  do {
    ASSERT_TRUE(worker.await(Kind::kDesired, &message));
  } while (message.desired().runs_size() == 0);
  const auto config = nlohmann::json::parse(message.desired().runs(0).config_json());
  EXPECT_EQ(config.at("job_id"), id);
  EXPECT_EQ(config.at("mode"), "probe");
}

TEST_F(Fleet, ANewerConnectionOfTheSameNameReplacesTheOlder) {
  ScriptedWorker older(scheduler, "w1");
  older.hello("i1");
  v1::SchedulerMessage message;
  ASSERT_TRUE(older.await(Kind::kWelcome, &message));
  const int64_t id = message.welcome().worker_id();
  ScriptedWorker newer(scheduler, "w1");
  newer.hello("i1");
  ASSERT_TRUE(newer.await(Kind::kWelcome, &message));
  EXPECT_EQ(message.welcome().worker_id(), id);
  EXPECT_EQ(older.close().error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(worker_state(), "ready");
}

TEST_F(Fleet, AnotherWorkerOfTheSameNameIsRefusedWhileTheFirstSpeaks) {
  v1::Hello here, there;
  here.mutable_inventory()->set_place("boot-1 /work");
  there.mutable_inventory()->set_place("boot-2 /work");
  ScriptedWorker first(scheduler, "w1");
  first.hello("i1", here);
  v1::SchedulerMessage message;
  ASSERT_TRUE(first.await(Kind::kWelcome, &message));
  ScriptedWorker second(scheduler, "w1");
  second.hello("i2", there);
  const grpc::Status refused = second.close();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_NE(refused.error_message().find("127.0.0.1"), std::string::npos);
  EXPECT_NE(refused.error_message().find("--name"), std::string::npos);
  EXPECT_EQ(worker_state(), "ready") << "the first one was not disturbed";
  ScriptedWorker restarted(scheduler, "w1");
  restarted.hello("i3", here);
  EXPECT_TRUE(restarted.await(Kind::kWelcome, &message)) << "a restart in the same place";
}

TEST_F(Fleet, AWorkerWithLiveRunsOfAnotherClusterIsRefusedAndOneWithoutIsWelcome) {
  v1::Hello hello;
  hello.set_cluster_id("of another store");
  v1::RunStatus& run = *hello.add_runs();
  run.set_job_id(1);
  run.set_epoch(3);
  run.set_phase("up");
  run.set_pid(4711);
  ScriptedWorker busy(scheduler, "w1");
  busy.hello("i1", hello);
  const grpc::Status refused = busy.close();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_NE(refused.error_message().find("another cluster"), std::string::npos);
  hello.clear_runs();
  ScriptedWorker idle(scheduler, "w1");
  idle.hello("i1", hello);
  v1::SchedulerMessage message;
  ASSERT_TRUE(idle.await(Kind::kWelcome, &message));
  EXPECT_EQ(message.welcome().cluster_id().size(), 32u);
}

TEST_F(Fleet, NoticesThatAWorkerHasGone) {
  ScriptedWorker worker(scheduler, "w1");
  worker.hello("i1");
  v1::SchedulerMessage message;
  ASSERT_TRUE(worker.await(Kind::kWelcome, &message));
  worker.close();
  EXPECT_TRUE(eventually([&] { return worker_state() == "disconnected"; })) << worker_state();
}

TEST_F(Fleet, RefusesAHeartbeatBeforeHelloAndABadInventory) {
  ScriptedWorker rude(scheduler, "w1");
  v1::WorkerMessage heartbeat;
  heartbeat.mutable_heartbeat();
  rude.send(heartbeat);
  EXPECT_EQ(rude.close().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  ScriptedWorker liar(scheduler, "w2");
  v1::WorkerMessage hello;
  hello.mutable_hello()->set_name("w2");
  hello.mutable_hello()->mutable_inventory()->add_devices()->set_memory_total(-1);
  liar.send(hello);
  const grpc::Status status = liar.close();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message().rfind("hello.inventory.devices[0].", 0), 0U)
      << status.error_message();
}

TEST_F(Fleet, PassesLogsFromTheWorkerThatHasTheRank) {
  ScriptedWorker worker(scheduler, "w1");
  worker.hello("i1");
  const int64_t id = scheduler.submit(small_spec("logged"));
  v1::SchedulerMessage message;
  do {
    ASSERT_TRUE(worker.await(Kind::kDesired, &message));
  } while (message.desired().runs_size() == 0);
  std::string read;
  grpc::Status status;
  std::jthread reader([&] {
    v1::LogsRequest request;
    request.set_job_id(id);
    grpc::ClientContext context;
    const auto stream = scheduler.stub->Logs(&context, request);
    v1::LogChunk chunk;
    while (stream->Read(&chunk)) read += chunk.data();
    status = stream->Finish();
  });
  ASSERT_TRUE(worker.await(Kind::kLogRead, &message));
  for (const char* text : {"one ", "two"}) {
    v1::WorkerMessage data;
    data.mutable_log()->set_request(message.log_read().request());
    data.mutable_log()->set_data(text);
    data.mutable_log()->set_end(text == std::string("two"));
    worker.send(data);
  }
  reader.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(read, "one two");
}

}  // namespace
}  // namespace llmctl::testing
