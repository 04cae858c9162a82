// Exit codes are part of the interface: scripts branch on them. Stable.
#pragma once

#include <string_view>

#include "core/base/result.h"

namespace llmctl {

enum ExitCode : int {
  kExitOk = 0,
  kExitFailure = 1,
  kExitUsage = 2,        // bad arguments, invalid job file
  kExitNotFound = 3,     // no such job, worker or file
  kExitAuth = 4,         // token missing or wrong
  kExitUnreachable = 5,  // no scheduler answers
  kExitConflict = 6,     // refused in the present state
  kExitTimeout = 7,      // the scheduler or a process took too long
  kExitJobFailed = 100,
  kExitJobUnfinished = 101,
  kExitJobCanceled = 103,
  kExitInterrupted = 130,  // Ctrl-C: detached, the job goes on
};

ExitCode exit_code_of(const Error& error);
ExitCode exit_code_of_state(std::string_view job_state);
const char* code_name(Code code);  // "not_found": the error code in JSON

}  // namespace llmctl
