// Reading a file that a person named and that should be small: whole, bounded, and without waiting
// for what never comes: a pipe that nobody writes to is an error, a device that has no end is too
// large. Any thread.
#pragma once

#include <filesystem>
#include <string>

#include "core/base/result.h"
#include "core/base/units.h"

namespace llmctl {

// not_found: it cannot be opened; invalid_argument: a directory, a pipe without a writer, more than
// `most` bytes. Messages begin with the path.
Result<std::string> read_small_file(const std::filesystem::path& file, Bytes most);

}  // namespace llmctl
