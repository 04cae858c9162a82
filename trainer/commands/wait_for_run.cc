#include "trainer/commands/wait_for_run.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <string_view>

namespace llmctl {

Result<std::string> wait_for_run() {
  constexpr char kLoaded = '+';
  std::array<char, PATH_MAX + 16> packet;
  if (send(STDIN_FILENO, &kLoaded, 1, MSG_NOSIGNAL) != 1) {
    return Error{Code::failed_precondition, "wait: standard input is no socket of a worker", ""};
  }
  ssize_t n = 0;
  do n = recv(STDIN_FILENO, packet.data(), packet.size(), 0);
  while (n < 0 && errno == EINTR);
  if (n <= 0) return std::string();
  const std::string_view text(packet.data(), static_cast<size_t>(n));
  const size_t end = text.find('\0');
  const bool known = text.substr(0, end) == "train" || text.substr(0, end) == "probe";
  if (!known || end == text.npos || text.back() != '\0') {
    return Error{Code::invalid_argument, "wait: expected train or probe, and a directory", ""};
  }
  if (chdir(packet.data() + end + 1) != 0) {
    return Error{Code::not_found, "wait: the run directory cannot be entered", ""};
  }
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null >= 0) dup2(null, STDIN_FILENO);
  return std::string(text.substr(0, end));
}

}  // namespace llmctl
