// The environment of a trainer: an allow-list of this worker's variables, and what the job asks
// for, of those that a job may set. Secrets of the worker never reach a job, and a job cannot make
// its trainer run other code.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace llmctl::worker {

// "NAME=value" lines; those of the job are alone under their name. Who says nothing else waits for
// the other threads of a team asleep.
// invalid_argument: a name of the job is malformed or reserved.
Result<std::vector<std::string>> trainer_environment(const char* const* inherited,
                                                     const std::map<std::string, std::string>& job);

}  // namespace llmctl::worker
