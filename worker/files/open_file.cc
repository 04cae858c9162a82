#include "worker/files/open_file.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "core/base/write_and_rename.h"

namespace llmctl::worker {

OpenFile& OpenFile::operator=(OpenFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

OpenFile::~OpenFile() {
  if (fd_ >= 0) close(fd_);
}

Result<PacketSockets> open_packet_sockets() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return system_error("socketpair", "open", errno);
  }
  return PacketSockets{OpenFile(ends[0]), OpenFile(ends[1])};
}

Error system_error(const std::filesystem::path& path, std::string_view what, int error_number) {
  Code code = Code::internal;
  if (error_number == ENOSPC || error_number == EDQUOT) code = Code::resource_exhausted;
  if (error_number == ENOENT) code = Code::not_found;
  if (error_number == EACCES || error_number == EPERM) code = Code::permission_denied;
  return {code,
          path.string() + ": " + std::string(what) + ": " +
              std::generic_category().message(error_number),
          ""};
}

std::optional<std::string> read_small_file(const std::filesystem::path& path, Bytes limit) {
  const OpenFile file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return std::nullopt;
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t n = read(file.fd(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::nullopt;
    if (n == 0) return text;
    text.append(buffer, static_cast<size_t>(n));
    if (static_cast<Bytes>(text.size()) > limit) return std::nullopt;
  }
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

Status replace_file(const std::filesystem::path& path,
                    std::string_view text,
                    bool durable,
                    mode_t mode) {
  const auto failure = write_and_rename(path, text, {.mode = mode, .durable = durable});
  if (!failure) return ok_status();
  return system_error(failure->path, failure->step, failure->error_number);
}

}  // namespace llmctl::worker
