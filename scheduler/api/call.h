// Call: one unary call until it is answered. A small value, captured by whatever runs on the way;
// exactly one of ok() and fail() is called, from any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include "proto/status.h"
#include "scheduler/loop/edges.h"

namespace llmctl {

class Call {
 public:
  // `method` is the name in metrics: a literal.
  Call(Edges& edges, grpc::CallbackServerContext* context, const char* method)
      : edges_(&edges),
        reactor_(context->DefaultReactor()),
        method_(method),
        begin_boot_ms_(edges.clock.boot_ms()) {}

  grpc::ServerUnaryReactor* reactor() const { return reactor_; }
  void ok() const { finish(grpc::Status::OK, Code::ok); }
  void fail(const Error& error) const { finish(to_status(error), error.code); }

 private:
  void finish(const grpc::Status& status, Code code) const {
    const Millis took = edges_->clock.boot_ms() - begin_boot_ms_;
    edges_->metrics.rpc_done(method_, code, static_cast<double>(took) / 1e3);
    reactor_->Finish(status);
  }

  Edges* edges_;
  grpc::ServerUnaryReactor* reactor_;
  const char* method_;
  Millis begin_boot_ms_;
};

}  // namespace llmctl
