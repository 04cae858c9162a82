// The text a run generated at its end (sample_prompt in the job file), read from the report of its
// rank 0 in the local cluster's work folders. Empty: none, or the worker is on another machine.
#pragma once

#include <string>

#include "cli/home.h"
#include "cli/view.h"

namespace llmctl {

std::string find_sample(const Home& home, const JobView& job);

}  // namespace llmctl
