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

Ending ended_by(const Error& error);  // the outcome is what its code means to a scheduler
Ending ended_by(Outcome outcome, const Error& error);

}  // namespace llmctl
