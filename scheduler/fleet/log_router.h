// Logs: a reader's stream joined to the worker that has the rank, over that worker's own
// connection. The router gives each reader a request number and passes chunks on. A reader slower
// than the log is dropped beyond a bound: the worker's connection must never wait for it. Streams
// thread, but for open().
#pragma once

#include <map>
#include <memory>

#include "llmctl/v1/fleet.pb.h"
#include "llmctl/v1/scheduler.grpc.pb.h"
#include "scheduler/loop/server_parts.h"

namespace llmctl {

class FleetHub;
class LogReader;

class LogRouter {
 public:
  LogRouter(ServerParts& parts, FleetHub& fleet) : parts_(parts), fleet_(fleet) {}

  // Any thread: makes the stream's reactor.
  grpc::ServerWriteReactor<v1::LogChunk>* open(const v1::LogsRequest& request);

  void receive(WorkerId worker, const v1::LogData& data);
  void worker_gone(WorkerId worker);
  void close_all(const Error& why);

 private:
  friend class LogReader;
  ServerParts& parts_;
  FleetHub& fleet_;
  int64_t last_request_ = 0;
  std::map<int64_t, std::shared_ptr<LogReader>> readers_;
};

}  // namespace llmctl
