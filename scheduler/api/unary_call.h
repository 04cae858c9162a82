// UnaryCall: one unary call of gRPC until it is answered. A small value, captured by the functions
// that run on the way to its answer; exactly one of ok() and fail() is called, from any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include "proto/status.h"
#include "scheduler/loop/server_parts.h"

namespace llmctl {

class UnaryCall {
 public:
  // `method` is the name in metrics: a literal.
  UnaryCall(ServerParts& parts, grpc::CallbackServerContext* context, const char* method)
      : parts_(&parts),
        reactor_(context->DefaultReactor()),
        method_(method),
        begin_boot_ms_(parts.clock.boot_ms()) {}

  grpc::ServerUnaryReactor* reactor() const { return reactor_; }
  void ok() const { finish(grpc::Status::OK, Code::ok); }
  void fail(const Error& error) const { finish(to_status(error), error.code); }

 private:
  void finish(const grpc::Status& status, Code code) const {
    const Millis took = parts_->clock.boot_ms() - begin_boot_ms_;
    parts_->metrics.rpc_done(method_, code, static_cast<double>(took) / 1e3);
    reactor_->Finish(status);
  }

  ServerParts* parts_;
  grpc::ServerUnaryReactor* reactor_;
  const char* method_;
  Millis begin_boot_ms_;
};

}  // namespace llmctl
