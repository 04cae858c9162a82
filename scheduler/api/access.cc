#include "scheduler/api/access.h"

#include <grpcpp/security/auth_metadata_processor.h>

#include "core/base/read_small_file.h"
#include "core/base/units.h"
#include "proto/endpoint.h"

namespace llmctl {
namespace {

constexpr size_t kTokenMin = 16;  // shorter ones can be guessed
constexpr Bytes kFileMax = 64 << 10;

Error unsafe(std::string what, std::string hint) {
  return Error{Code::failed_precondition, std::move(what), std::move(hint)};
}

Result<std::string> read_file(const std::string& path) {
  Result<std::string> text = read_small_file(path, kFileMax);
  if (!text.ok()) return unsafe(text.error().message, "");
  return text;
}

Result<std::string> read_token(const std::string& path) {
  const std::string text = TRY(read_file(path));
  const std::string_view token(text.data(), text.find_last_not_of("\r\n") + 1);
  if (token.size() < kTokenMin || token.find_first_of(" \t\r\n") != std::string_view::npos) {
    return unsafe(path + ": expected one line of at least 16 characters",
                  "head -c 32 /dev/urandom | base64 > " + path);
  }
  return std::string(token);
}

// Refuses every call, of whatever service, that does not carry the token.
class TokenCheck final : public grpc::AuthMetadataProcessor {
 public:
  explicit TokenCheck(const std::string& token) : expected_(std::string("Bearer ").append(token)) {}

  bool IsBlocking() const override { return false; }

  grpc::Status Process(const InputMetadata& metadata,
                       grpc::AuthContext*,
                       OutputMetadata* consumed,
                       OutputMetadata*) override {
    const auto given = metadata.find("authorization");
    if (given == metadata.end() ||
        !same_secret({given->second.data(), given->second.size()}, expected_)) {
      return grpc::Status(grpc::StatusCode::UNAUTHENTICATED,
                          "this scheduler wants a token\nhint: pass the content of its token file");
    }
    consumed->emplace("authorization", std::string(given->second.data(), given->second.size()));
    return grpc::Status::OK;
  }

 private:
  const std::string expected_;
};

}  // namespace

bool same_secret(std::string_view given, std::string_view expected) {
  unsigned difference = given.size() == expected.size() ? 0U : 1U;
  for (size_t i = 0; i < given.size(); ++i) {
    const char other = expected.empty() ? '\0' : expected[i % expected.size()];
    difference |= static_cast<unsigned>(given[i] ^ other) & 0xFFU;
  }
  return difference == 0;
}

Result<std::shared_ptr<grpc::ServerCredentials>> server_credentials(const AccessOptions& options) {
  const bool token = !options.token_file.empty();
  const bool tls = !options.tls_cert.empty() && !options.tls_key.empty();
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    return unsafe("--tls-cert and --tls-key come together", "");
  }
  if (!is_loopback(options.listen) && !(token && tls)) {
    return unsafe("refusing to listen on " + options.listen +
                      ": other machines could reach it without a token and TLS",
                  "pass --token-file, --tls-cert and --tls-key, or listen on 127.0.0.1");
  }
  std::shared_ptr<grpc::ServerCredentials> credentials;
  if (tls) {
    grpc::SslServerCredentialsOptions ssl;
    ssl.pem_key_cert_pairs.push_back(
        {TRY(read_file(options.tls_key)), TRY(read_file(options.tls_cert))});
    credentials = grpc::SslServerCredentials(ssl);
  } else if (token) {
    // Plain TCP like insecure credentials, but able to check metadata; loopback peers only.
    credentials = grpc::experimental::LocalServerCredentials(LOCAL_TCP);
  } else {
    credentials = grpc::InsecureServerCredentials();
  }
  if (token) {
    const std::string secret = TRY(read_token(options.token_file));
    credentials->SetAuthMetadataProcessor(std::make_shared<TokenCheck>(secret));
  }
  return credentials;
}

}  // namespace llmctl
