// How an attempt ended: what the last report line says and the exit code repeats. A plain value.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/run/run_config.h"

namespace llmctl {

struct Ending {
  Outcome outcome = Outcome::done;
  std::string detail;
};

inline Ending ended_by(Outcome outcome, const Error& error) {
  return {outcome, error.hint.empty() ? error.message : error.message + " (" + error.hint + ")"};
}

}  // namespace llmctl
