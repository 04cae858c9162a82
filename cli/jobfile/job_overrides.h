// Overrides: `--set key=value` laid over a parsed job file. Keys are dotted and may be aliases
// ("resources.gpus=2"); the value is YAML; the override wins whatever name the file used.
#pragma once

#include <string>
#include <vector>

#include "core/job/job_spec.h"

namespace llmctl {

// invalid_argument when an override is no key=value; wrong values are found by parse_job.
Status apply_overrides(Node& root, const std::vector<std::string>& overrides);

}  // namespace llmctl
