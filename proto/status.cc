#include "proto/status.h"

#include "proto/checks.h"

namespace llmctl {
namespace {

constexpr std::string_view kHint = "\nhint: ";

}  // namespace

grpc::Status to_status(const Error& error) {
  std::string text = error.message;
  if (!error.hint.empty()) text.append(kHint).append(error.hint);
  return grpc::Status(static_cast<grpc::StatusCode>(error.code), wire::detail(std::move(text)));
}

Error from_status(const grpc::Status& status) {
  const std::string text = status.error_message();
  const size_t at = text.rfind(kHint);
  if (at == std::string::npos) return Error{static_cast<Code>(status.error_code()), text, ""};
  return Error{static_cast<Code>(status.error_code()), text.substr(0, at),
               text.substr(at + kHint.size())};
}

}  // namespace llmctl
