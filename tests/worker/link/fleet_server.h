// FleetServer: a real gRPC server with the Fleet service, driven by a test: it remembers what the
// worker said and sends what the test wants. Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "llmctl/v1/fleet.grpc.pb.h"

namespace llmctl::worker {

class FleetServer final : public v1::Fleet::Service {
 public:
  FleetServer() { listen("127.0.0.1:0"); }
  ~FleetServer() override { stop(); }

  const std::string& address() const { return address_; }
  void stop();  // connections are refused from now on
  void restart() { listen(address_); }
  bool answer_heartbeats = true;  // set before the worker connects
  int64_t lease_ms = 10'000;

  void send(const v1::SchedulerMessage& message);  // on the newest stream
  void hang_up();                                  // ends the newest stream
  std::vector<v1::WorkerMessage> received() const;
  int streams() const;
  std::string token() const;  // of the newest stream

  grpc::Status Connect(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::SchedulerMessage, v1::WorkerMessage>* stream) override;

 private:
  void listen(const std::string& address);

  mutable std::mutex mutex_;
  std::vector<v1::WorkerMessage> received_;
  grpc::ServerReaderWriter<v1::SchedulerMessage, v1::WorkerMessage>* stream_ = nullptr;
  grpc::ServerContext* context_ = nullptr;
  int streams_ = 0;
  std::string token_, address_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace llmctl::worker
