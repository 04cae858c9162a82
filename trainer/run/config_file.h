// The config.json of a run directory (docs/RUN_DIRECTORY.md): what a trainer is told to do. Pure,
// apart from reading the file.
#pragma once

#include <filesystem>

#include "core/run/run_config.h"

namespace llmctl {

// not_found, or invalid_argument naming the field.
Result<RunConfig> read_run_config(const std::filesystem::path& file);

}  // namespace llmctl
