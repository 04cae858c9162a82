#include "trainer/data/cache/prune.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"

namespace llmctl {
namespace fs = std::filesystem;

static constexpr std::string_view kHashAlphabet = "0123456789abcdef";
static constexpr size_t kHashDigits = 32;

// "tokens-HASH.bin", "facts-HASH.json", "tokenizer-HASH".
static bool is_entry(const std::string& name) {
  for (const auto& [head, tail] : {std::pair<std::string_view, std::string_view>{"tokens-", ".bin"},
                                   {"facts-", ".json"},
                                   {"tokenizer-", ""}}) {
    if (name.size() != head.size() + kHashDigits + tail.size()) continue;
    const bool hash =
        std::string_view(name).substr(head.size(), kHashDigits).find_first_not_of(kHashAlphabet) ==
        std::string_view::npos;
    if (hash && name.starts_with(head) && name.ends_with(tail)) return true;
  }
  return false;
}

void mark_used(const fs::path& entry) {
  const timespec times[] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
  ::utimensat(AT_FDCWD, entry.c_str(), times, AT_SYMLINK_NOFOLLOW);
}

void prune_cache(const fs::path& directory) {
  const Millis oldest = SystemClock().unix_ms() - Millis{kCacheDays} * 24 * 3600 * 1000;
  std::error_code failed;
  std::vector<fs::path> stale;
  for (const auto& entry : fs::directory_iterator(directory, failed)) {
    struct stat about {};
    if (!is_entry(entry.path().filename().string())) continue;
    if (::lstat(entry.path().c_str(), &about) != 0 || S_ISLNK(about.st_mode)) continue;
    const Millis used = 1000 * Millis{std::max(about.st_atim.tv_sec, about.st_mtim.tv_sec)};
    if (used < oldest) stale.push_back(entry.path());
  }
  for (const fs::path& entry : stale) fs::remove_all(entry, failed);
}

}  // namespace llmctl
