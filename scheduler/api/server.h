// Server: store, loop, hubs and gRPC services put together, with their threads. Started once by
// main; stop() ends streams, finishes what was asked, then the threads.
#pragma once

#include <memory>
#include <string>

#include "core/base/clock.h"
#include "scheduler/api/access.h"
#include "scheduler/heart/decide.h"
#include "scheduler/store/data_dir.h"

namespace prometheus {
class Registry;
}

namespace llmctl {

struct ServerOptions {
  AccessOptions access;
  SchedulerConfig scheduler;
  std::string version;
  int32_t metrics_port = 0;  // told by ServerInfo; 0: off
};

class Server {
 public:
  // Requires: `directory`, `clock` and `registry` outlive the server.
  static Result<std::unique_ptr<Server>> start(const ServerOptions& options,
                                               const DataDir& directory,
                                               const Clock& clock,
                                               prometheus::Registry& registry);
  virtual ~Server() = default;              // stops
  virtual std::string address() const = 0;  // as bound: "127.0.0.1:41234"
  virtual void stop() = 0;
};

}  // namespace llmctl
