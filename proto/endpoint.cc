#include "proto/endpoint.h"

#include <arpa/inet.h>
#include <grpc/support/log.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/status.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "core/base/read_small_file.h"
#include "proto/status.h"

namespace llmctl {

HostPort split_host_port(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return {address, ""};
  return {address.substr(0, colon), address.substr(colon + 1)};
}

std::string_view without_brackets(std::string_view host) {
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  return bracketed ? host.substr(1, host.size() - 2) : host;
}

namespace {

constexpr Bytes kCaFileMax = 1 << 20;  // a bundle of every public authority is 200 KiB
constexpr size_t kTokenMax = 4 << 10;

bool is_host_port(std::string_view address) {
  const auto [host, port] = split_host_port(address);
  const bool port_ok = !port.empty() && port.size() <= 5 &&
                       port.find_first_not_of("0123456789") == std::string_view::npos &&
                       std::stoi(std::string(port)) <= 65'535;
  const std::string_view name = without_brackets(host);
  const bool bracketed = name.size() < host.size();
  return port_ok && !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' ||
                  c == '_' || (bracketed && (c == ':' || c == '%'));
         });
}

Result<std::string> read_authority(const std::string& path) {
  const Result<std::string> read = read_small_file(path, kCaFileMax);
  if (!read.ok()) {
    return Error{Code::invalid_argument, "cannot read the authority: " + read.error().message, ""};
  }
  const std::string& text = *read;
  if (text.find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
    return Error{Code::invalid_argument, path + ": expected a PEM file of certificates",
                 "it begins with -----BEGIN CERTIFICATE-----; a private key is no authority"};
  }
  return text;
}

Status check_token(const Endpoint& endpoint) {
  const std::string& token = endpoint.token;
  const bool printable =
      std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (token.size() > kTokenMax || !printable) {
    return Error{Code::invalid_argument, "the token is not one word of printable characters", ""};
  }
  if (token.empty() || endpoint.tls || is_loopback(endpoint.address)) return ok_status();
  return Error{Code::failed_precondition,
               "refusing to send the token to " + endpoint.address + " in the clear",
               "use https://" + endpoint.address +
                   ", with --tls-ca FILE if a private authority signed its certificate"};
}

bool has(const std::string& text, const char* words) {
  return text.find(words) != std::string::npos;
}

// "failed to connect …: ipv4:1.2.3.4:5: Socket closed": the last part is the reason.
std::string reason(const std::string& why) {
  const size_t colon = why.rfind(": ");
  return colon == std::string::npos ? why : why.substr(colon + 2);
}

std::string authorities(const Endpoint& endpoint) {
  return endpoint.ca_file.empty() ? "the authorities that this system trusts" : endpoint.ca_file;
}

Error no_tls_connection(const Endpoint& endpoint, const std::string& why) {
  const std::string& address = endpoint.address;
  if (has(why, "certificate verify failed")) {
    return {Code::unauthenticated,
            "the certificate of " + address + " is not signed by " + authorities(endpoint),
            "pass the authority that signed it: --tls-ca FILE; also check that it has not expired"};
  }
  if (has(why, "Peer name") || has(why, "Hostname Verification")) {
    const std::string host(split_host_port(address).host);
    return {Code::unauthenticated, "the certificate of " + address + " is for another host",
            "use a name that it lists, or issue one with subjectAltName " + host};
  }
  if (has(why, "wrong version number")) {
    return {Code::unavailable, address + " does not speak TLS",
            "is it the scheduler's port? a local one is reached as http://" + address};
  }
  return {Code::unavailable, "no TLS connection to " + address + ": " + reason(why),
          "is a scheduler with --tls-cert listening there?"};
}

Error no_connection(const Endpoint& endpoint, const std::string& why) {
  if (has(why, "Connection refused") || has(why, "DNS resolution failed") || has(why, "imeout") ||
      has(why, "nreachable")) {
    return {Code::unavailable, "no scheduler answers at " + endpoint.address, ""};
  }
  if (endpoint.tls) return no_tls_connection(endpoint, why);
  return {Code::unavailable, endpoint.address + " hangs up: " + reason(why),
          "if the scheduler has a certificate, use https://" + endpoint.address};
}

}  // namespace

bool is_loopback(const std::string& address) {
  const std::string host(split_host_port(address).host);
  in_addr ip{};
  if (inet_pton(AF_INET, host.c_str(), &ip) == 1) return ntohl(ip.s_addr) >> 24 == 127;
  return host == "localhost" || host == "[::1]";
}

Result<Endpoint> parse_endpoint(const EndpointText& text) {
  Endpoint endpoint;
  std::string_view address = text.address;
  const bool https = address.starts_with("https://"), http = address.starts_with("http://");
  if (https || http) address.remove_prefix(https ? 8 : 7);
  if ((https || http) && address.ends_with('/')) address.remove_suffix(1);
  endpoint.address = address;
  if (!is_host_port(address)) {
    return Error{Code::invalid_argument,
                 "\"" + text.address + "\" is not the address of a scheduler",
                 "expected host:port, or https://host:port for TLS"};
  }
  endpoint.tls = https || (!http && !text.ca_file.empty());
  endpoint.token = text.token;
  if (endpoint.tls && !text.ca_file.empty()) {
    endpoint.ca_file = text.ca_file;
    endpoint.ca_pem = TRY(read_authority(text.ca_file));
  }
  TRY(check_token(endpoint));
  return endpoint;
}

std::shared_ptr<grpc::ChannelCredentials> channel_credentials(const Endpoint& endpoint) {
  if (!endpoint.tls) return grpc::InsecureChannelCredentials();
  // At every try gRPC would print why the handshake failed: call_error tells it once, in our words.
  const bool asked_for = std::getenv("GRPC_VERBOSITY") != nullptr;  // NOLINT(concurrency-mt-unsafe)
  if (!asked_for) gpr_set_log_function([](gpr_log_func_args*) {});
  return grpc::SslCredentials({endpoint.ca_pem, "", ""});
}

Error call_error(const Endpoint& endpoint, const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    return no_connection(endpoint, status.error_message());
  }
  return from_status(status);
}

}  // namespace llmctl
