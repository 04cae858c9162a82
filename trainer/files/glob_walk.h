// Files by pattern: `*`, `?` and `[…]` inside a name as the shell means them, and `**` for any
// number of folders, none included. Hidden names match only a pattern that begins with a dot;
// symbolic links to folders are not followed by `**`. Sorted by path. Errors: more than `limit`
// files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace llmctl {

Result<std::vector<std::filesystem::path>> expand_glob(const std::string& pattern, size_t limit);

}  // namespace llmctl
