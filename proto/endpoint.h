// Endpoint: where a scheduler is, and how the CLI and the worker reach it. "host:port" is in the
// clear, "https://host:port" is TLS, and so is "host:port" with an authority given. A token goes in
// the clear to this machine only: anything else is refused before a connection is opened.
// Errors are for people: they name the address, the authority and what to do next.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace grpc {
class ChannelCredentials;
class Status;
}  // namespace grpc

namespace llmctl {

struct EndpointText {
  std::string address;  // as a person writes it, with or without http:// or https://
  std::string ca_file;  // PEM of the authority behind the certificate; empty: see parse_endpoint
  std::string token;    // empty: none
};

struct Endpoint {
  std::string address;  // host:port
  bool tls = false;
  std::string ca_file;  // for messages
  std::string ca_pem;   // empty: the authorities that this system trusts
  std::string token;
};

// invalid_argument: the address, the token or the file of the authority is malformed.
// failed_precondition: the token would be sent in the clear to another machine.
Result<Endpoint> parse_endpoint(const EndpointText& text);

struct HostPort {  // views
  std::string_view host, port;
};
HostPort split_host_port(std::string_view address);        // "[::1]:80" -> "[::1]", "80"
std::string_view without_brackets(std::string_view host);  // "[::1]" -> "::1"
bool is_loopback(const std::string& address);  // host:port that never leaves this machine

std::shared_ptr<grpc::ChannelCredentials> channel_credentials(const Endpoint& endpoint);

// Why a call failed: what the scheduler answered, or why there was no connection to it.
// unauthenticated: the certificate is not to be trusted; unavailable: nobody understood us.
Error call_error(const Endpoint& endpoint, const grpc::Status& status);

}  // namespace llmctl
