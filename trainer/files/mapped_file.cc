#include "trainer/files/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace llmctl {

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::filesystem::path& file) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer; for regular files it means nothing.
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const Code code = errno == ENOENT ? Code::not_found : Code::unavailable;
    return Error{code, file.string() + ": cannot open: " + std::strerror(errno), ""};
  }
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return Error{Code::invalid_argument, file.string() + ": not a regular file", ""};
  }
  const auto size = static_cast<size_t>(info.st_size);
  // Nothing of an empty file can be mapped; readers still get an address, as memcpy wants one.
  static std::byte nothing{};
  void* at = size == 0 ? &nothing : ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  const int map_errno = errno;
  ::close(fd);
  if (at == MAP_FAILED) {
    return Error{Code::unavailable, file.string() + ": cannot map: " + std::strerror(map_errno),
                 ""};
  }
  return std::shared_ptr<const MappedFile>(new MappedFile({static_cast<std::byte*>(at), size}));
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace llmctl
