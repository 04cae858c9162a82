#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/files/disk.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace {

constexpr const char *kTrash = ".trash", *kPinned = "pinned";

// Asks the kernel to forget the cached pages, so that verifying reads what the disk has.
void drop_page_cache(const fs::path& directory) {
  std::error_code failed;
  for (fs::directory_iterator it(directory, failed), end; !failed && it != end;
       it.increment(failed)) {
    const int fd = ::open(it->path().c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) continue;
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ::close(fd);
  }
}

// Renamed out of sight first and made durable, then unlinked: at no time is a half-deleted
// directory visible under a checkpoint's name.
Status discard(const fs::path& checkpoints, const fs::path& victim) {
  const fs::path trash = checkpoints / kTrash;
  std::error_code failed;
  fs::create_directory(trash, failed);
  if (failed) return disk_error("cannot make directory", trash, failed.value());
  const fs::path grave = trash / victim.filename();
  TRY(remove_tree(grave, {}));
  TRY(rename_new(victim, grave, {}));
  TRY(sync_directory(checkpoints, {}));
  return remove_tree(grave, {});
}

// What crashes left: half-written saves of this or an older epoch, half-emptied trash.
Status clear_leftovers(const fs::path& checkpoints, int64_t epoch) {
  std::vector<fs::path> leftovers;
  std::error_code failed;
  for (fs::directory_iterator it(checkpoints, failed), end; !failed && it != end;
       it.increment(failed)) {
    const std::string name = it->path().filename().string();
    const bool half_save = name.starts_with('e') && name.ends_with(".tmp") &&
                           std::strtoll(name.c_str() + 1, nullptr, 10) <= epoch;
    if (half_save || name == kTrash) leftovers.push_back(it->path());
  }
  for (const fs::path& path : leftovers) TRY(remove_tree(path, {}));
  return ok_status();
}

}  // namespace

CheckpointRetention::CheckpointRetention(fs::path checkpoints, int64_t keep)
    : checkpoints_(std::move(checkpoints)), keep_(std::max<int64_t>(keep, 2)) {}

CheckpointRetention::Verdict CheckpointRetention::verify(const fs::path& checkpoint) {
  const std::string name = checkpoint.filename().string();
  if (std::find(verified_.begin(), verified_.end(), name) != verified_.end()) {
    return Verdict::whole;
  }
  drop_page_cache(checkpoint);
  const auto loaded = load_checkpoint(checkpoint);
  // An I/O error says nothing about the content: neither kept count nor victim.
  if (!loaded.ok() && loaded.error().code == Code::unavailable) return Verdict::unknown;
  if (!loaded.ok()) return Verdict::damaged;
  verified_.push_back(name);
  return Verdict::whole;
}

Result<std::vector<RemovedCheckpoint>> CheckpointRetention::prune(int64_t epoch,
                                                                  int64_t best_step) {
  std::vector<RemovedCheckpoint> victims;
  const std::string best = "-s" + std::to_string(best_step);
  int64_t good = 0;
  bool best_seen = false;
  for (const fs::path& path : list_checkpoints(checkpoints_)) {
    const std::string name = path.filename().string();
    std::error_code ignored;
    if (fs::exists(path / kPinned, ignored)) continue;
    const bool is_best = name.ends_with(best) && !best_seen;
    if (good >= keep_ && !is_best) {
      victims.push_back({name, false});
      continue;
    }
    const Verdict verdict = verify(path);
    if (verdict == Verdict::damaged) victims.push_back({name, true});
    if (verdict != Verdict::whole) continue;
    best_seen |= is_best;
    ++good;
  }
  if (good == 0) return std::vector<RemovedCheckpoint>{};
  for (const RemovedCheckpoint& victim : victims) {
    TRY(discard(checkpoints_, checkpoints_ / victim.name));
    std::erase(verified_, victim.name);
  }
  TRY(clear_leftovers(checkpoints_, epoch));
  return victims;
}

}  // namespace llmctl
