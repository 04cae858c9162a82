#include "trainer/data/cache/build_lock.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "trainer/files/disk.h"

namespace llmctl {
namespace fs = std::filesystem;

static constexpr int kLockPollMs = 200;

Result<BuildLock> BuildLock::acquire(const fs::path& file, const PhaseFn& phase) {
  fs::path lock_file = file;
  lock_file += ".lock";
  const int fd = ::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return disk_error("cannot open", lock_file, errno);
  BuildLock lock(fd);
  for (int turn = 0; ::flock(fd, LOCK_EX | LOCK_NB) != 0; ++turn) {
    if (errno != EWOULDBLOCK && errno != EINTR) return disk_error("cannot lock", lock_file, errno);
    if (phase && turn % 5 == 0) phase("wait for another process to prepare the data");
    ::poll(nullptr, 0, kLockPollMs);
  }
  return lock;
}

BuildLock::BuildLock(BuildLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

BuildLock::~BuildLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace llmctl
