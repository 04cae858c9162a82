// What the cache directory keeps of data nobody trained on for long goes: token caches, learned
// tokenizers and facts, none of anybody else's files. Whoever uses an entry marks it.
#pragma once

#include <filesystem>

namespace llmctl {

void mark_used(const std::filesystem::path& entry);  // by its time of access
// Entries that were not used for kCacheDays before now go. Failures leave them: it is a cache, and
// another process may be at it. Locks stay where they are: one that is held must not be replaced.
void prune_cache(const std::filesystem::path& directory);

inline constexpr int kCacheDays = 30;

}  // namespace llmctl
