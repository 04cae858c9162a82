// Errors across gRPC: the code as it is, the hint after the message on a line of its own, so that
// any client shows both.
#pragma once

#include <grpcpp/support/status.h>

#include "core/base/result.h"

namespace llmctl {

grpc::Status to_status(const Error& error);
Error from_status(const grpc::Status& status);  // Requires: !status.ok()

}  // namespace llmctl
