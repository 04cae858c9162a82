#include "cli/shell/exit_code.h"

namespace llmctl {

ExitCode exit_code_of(const Error& error) {
  switch (error.code) {
    case Code::ok:
      return kExitOk;
    case Code::invalid_argument:
    case Code::out_of_range:
      return kExitUsage;
    case Code::not_found:
      return kExitNotFound;
    case Code::permission_denied:
    case Code::unauthenticated:
      return kExitAuth;
    case Code::unavailable:
      return kExitUnreachable;
    case Code::already_exists:
    case Code::failed_precondition:
    case Code::resource_exhausted:
    case Code::aborted:
      return kExitConflict;
    case Code::deadline_exceeded:
      return kExitTimeout;
    case Code::canceled:
      return kExitInterrupted;
    case Code::unknown:
    case Code::unimplemented:
    case Code::internal:
    case Code::data_loss:
      return kExitFailure;
  }
  return kExitFailure;
}

ExitCode exit_code_of_state(std::string_view job_state) {
  if (job_state == "SUCCEEDED") return kExitOk;
  if (job_state == "FAILED") return kExitJobFailed;
  if (job_state == "CANCELED") return kExitJobCanceled;
  return kExitJobUnfinished;
}

const char* code_name(Code code) {
  switch (code) {
    case Code::ok:
      return "ok";
    case Code::canceled:
      return "canceled";
    case Code::unknown:
      return "unknown";
    case Code::invalid_argument:
      return "invalid_argument";
    case Code::deadline_exceeded:
      return "deadline_exceeded";
    case Code::not_found:
      return "not_found";
    case Code::already_exists:
      return "already_exists";
    case Code::permission_denied:
      return "permission_denied";
    case Code::resource_exhausted:
      return "resource_exhausted";
    case Code::failed_precondition:
      return "failed_precondition";
    case Code::aborted:
      return "aborted";
    case Code::out_of_range:
      return "out_of_range";
    case Code::unimplemented:
      return "unimplemented";
    case Code::internal:
      return "internal";
    case Code::unavailable:
      return "unavailable";
    case Code::data_loss:
      return "data_loss";
    case Code::unauthenticated:
      return "unauthenticated";
  }
  return "unknown";
}

}  // namespace llmctl
