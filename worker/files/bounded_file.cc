#include "worker/files/bounded_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

namespace llmctl::worker {

BoundedFile::BoundedFile(std::filesystem::path path, std::filesystem::path older, Bytes limit_bytes)
    : path_(std::move(path)), older_(std::move(older)), limit_bytes_(limit_bytes) {}

void BoundedFile::reopen() {
  file_ = OpenFile(open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  struct stat info {};
  size_bytes_ = file_ && fstat(file_.fd(), &info) == 0 ? info.st_size : 0;
}

void BoundedFile::append(std::string_view bytes) {
  const auto count = static_cast<Bytes>(bytes.size());
  if (!file_) reopen();  // the first bytes, or the disk may have room again
  if (size_bytes_ > 0 && size_bytes_ + count > limit_bytes_) {
    if (rename(path_.c_str(), older_.c_str()) != 0) unlink(path_.c_str());
    reopen();
  }
  if (file_ && write_all(file_.fd(), bytes)) {
    size_bytes_ += count;
  } else {
    dropped_bytes_ += count;
  }
}

}  // namespace llmctl::worker
