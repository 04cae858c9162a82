#include "trainer/run/saving/lease.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <thread>

namespace llmctl {

static constexpr auto kPoll = std::chrono::milliseconds(20);

Lease::Lease(const std::filesystem::path& run_directory, const Clock& clock)
    : file_(run_directory / "lease"), clock_(clock) {}

bool Lease::valid() const {
  const int fd = open(file_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true;
  uint64_t little_endian = 0;
  const ssize_t got = pread(fd, &little_endian, sizeof little_endian, 0);
  close(fd);
  if (got == 0) return true;
  if (got != sizeof little_endian) return false;  // unreadable: not ours to use
  return clock_.boot_ms() < static_cast<Millis>(le64toh(little_endian));
}

bool Lease::wait(const std::function<bool()>& give_up) const {
  while (!valid()) {
    if (give_up()) return false;
    std::this_thread::sleep_for(kPoll);
  }
  return true;
}

}  // namespace llmctl
