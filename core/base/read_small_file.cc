#include "core/base/read_small_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace llmctl {

static Error refused(const std::filesystem::path& file, const std::string& why) {
  return {Code::invalid_argument, file.string() + " " + why, ""};
}

static Result<std::string> read_open(int fd, const std::filesystem::path& file, Bytes most) {
  struct stat info {};
  if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) return refused(file, "is a directory");
  fcntl(fd, F_SETFL, 0);  // a pipe's writer may be slow
  constexpr size_t kPiece = 64 << 10;
  std::string text;
  size_t size = 0;
  while (true) {
    text.resize(size + kPiece);
    const ssize_t got = read(fd, text.data() + size, kPiece);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refused(file, std::string("cannot be read: ") + std::strerror(errno));
    size += static_cast<size_t>(got);
    if (static_cast<Bytes>(size) > most) {
      return refused(file, "is larger than " + format_bytes(most));
    }
    if (got == 0) break;
  }
  if (size == 0 && S_ISFIFO(info.st_mode))
    return refused(file, "is a pipe, and nobody writes to it");
  text.resize(size);
  return text;
}

Result<std::string> read_small_file(const std::filesystem::path& file, Bytes most) {
  // Opening a pipe would wait for its writer.
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    return Error{Code::not_found, file.string() + ": " + std::strerror(errno), ""};
  }
  Result<std::string> text = read_open(fd, file, most);
  close(fd);
  return text;
}

}  // namespace llmctl
