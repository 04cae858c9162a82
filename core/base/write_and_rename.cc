#include "core/base/write_and_rename.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace llmctl {

static bool write_whole_text(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

static std::optional<WriteFailure> write_file(const std::string& path,
                                              std::string_view text,
                                              const WriteOptions& options) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, options.mode);
  if (fd < 0) return WriteFailure{path, "open", errno};
  std::optional<WriteFailure> failure;
  if (!write_whole_text(fd, text)) {
    failure = WriteFailure{path, "write", errno};
  } else if (options.durable && fsync(fd) != 0) {
    failure = WriteFailure{path, "fsync", errno};
  }
  close(fd);
  return failure;
}

static std::optional<WriteFailure> sync_folder(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  std::optional<WriteFailure> failure;
  if (fd < 0 || fsync(fd) != 0) failure = WriteFailure{path, "fsync", errno};
  if (fd >= 0) close(fd);
  return failure;
}

std::optional<WriteFailure> write_and_rename(const std::filesystem::path& path,
                                             std::string_view text,
                                             const WriteOptions& options) {
  const std::string temporary = path.string() + ".tmp";
  if (auto failure = write_file(temporary, text, options)) return failure;
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    return WriteFailure{path.string(), "rename", errno};
  }
  return options.durable ? sync_folder(path.parent_path().string()) : std::nullopt;
}

}  // namespace llmctl
