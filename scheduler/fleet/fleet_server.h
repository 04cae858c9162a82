// The scheduler's end of the workers' streams. A session converts what its worker says into inputs
// and writes what the loop wants; a heartbeat is acknowledged only when its input was applied.
// A second stream with the same worker name replaces the first. Streams thread, but for open().
#pragma once

#include <map>
#include <memory>
#include <set>

#include "llmctl/v1/fleet.grpc.pb.h"
#include "scheduler/loop/server_parts.h"

namespace llmctl {

class FleetSession;
class LogRouter;

class FleetHub {
 public:
  FleetHub(ServerParts& parts, LogRouter& logs) : parts_(parts), logs_(logs) {}

  // Any thread: makes the stream's reactor.
  grpc::ServerBidiReactor<v1::WorkerMessage, v1::SchedulerMessage>* open(
      grpc::CallbackServerContext* context);

  void send_desired(WorkerId worker, const std::vector<RunOrder>& orders);
  bool send(WorkerId worker, v1::LogRead read);  // false: the worker is away
  void close_all(const Error& why);

 private:
  friend class FleetSession;
  ServerParts& parts_;
  LogRouter& logs_;
  std::set<std::shared_ptr<FleetSession>> sessions_;  // all open streams
  std::map<std::string, FleetSession*> by_name_;      // the newest connection of each worker
  std::map<WorkerId, FleetSession*> by_worker_;       // welcomed ones
};

class FleetService final : public v1::Fleet::CallbackService {
 public:
  explicit FleetService(FleetHub& hub) : hub_(hub) {}
  grpc::ServerBidiReactor<v1::WorkerMessage, v1::SchedulerMessage>* Connect(
      grpc::CallbackServerContext* context) override {
    return hub_.open(context);
  }

 private:
  FleetHub& hub_;
};

}  // namespace llmctl
