// What of a job needs the disk, settled in the Node tree before the fields are read: relative paths
// become absolute, a model directory becomes its config.json's fields, a tokenizer.json gets its
// vocabulary's size, datasets are looked for. Errors name the place in the job file and the path
// that was tried.
#pragma once

#include <filesystem>
#include <vector>

#include "core/job/job_spec.h"

namespace llmctl {

// `base` is the absolute folder that relative paths start from.
std::vector<Diagnostic> settle_paths(Node& root, const std::filesystem::path& base);

}  // namespace llmctl
