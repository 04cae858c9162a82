// Who may talk to the scheduler. With a token every method of every service (reflection and health
// too) needs "authorization: Bearer TOKEN"; without one the scheduler listens on loopback only. An
// address that other machines can reach needs the token and TLS: a token in the clear is no secret.
#pragma once

#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace llmctl {

struct AccessOptions {
  std::string listen;      // "127.0.0.1:7700"
  std::string token_file;  // empty: no token
  std::string tls_cert, tls_key;
};

// failed_precondition: the combination is not safe, or a file cannot be used.
Result<std::shared_ptr<grpc::ServerCredentials>> server_credentials(const AccessOptions& options);

// Takes the same time wherever the texts differ.
bool same_secret(std::string_view given, std::string_view expected);

}  // namespace llmctl
