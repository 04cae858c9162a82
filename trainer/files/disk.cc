#include "trainer/files/disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "trainer/files/crc32c.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace {

void announce(const DiskStep& step, std::string_view call, const fs::path& path) {
  if (step) step(call, path);
}

Status write_all(int fd, std::span<const std::byte> bytes, const fs::path& file) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return disk_error("cannot write", file, errno);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return ok_status();
}

}  // namespace

Error disk_error(std::string_view what, const fs::path& path, int error_number) {
  Error error;
  error.message = path.string() + ": " + std::string(what) + ": " + std::strerror(error_number);
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      error.code = Code::resource_exhausted;
      error.hint = "free space on this disk, or raise the quota";
      break;
    case EEXIST:
    case ENOTEMPTY:
      error.code = Code::already_exists;
      break;
    case ENOENT:
      error.code = Code::not_found;
      break;
    default:
      error.code = Code::unavailable;
  }
  return error;
}

FileWriter::FileWriter(int fd, fs::path file, DiskStep step)
    : fd_(fd), file_(std::move(file)), step_(std::move(step)) {}

FileWriter::FileWriter(FileWriter&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      file_(std::move(other.file_)),
      step_(std::move(other.step_)),
      chunk_(std::move(other.chunk_)),
      sums_(std::move(other.sums_)) {}

FileWriter::~FileWriter() {
  if (fd_ >= 0) ::close(fd_);
}

Result<FileWriter> FileWriter::create(fs::path file, DiskStep step) {
  announce(step, "create", file);
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return disk_error("cannot create", file, errno);
  return FileWriter(fd, std::move(file), std::move(step));
}

Status FileWriter::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const size_t room = static_cast<size_t>(kChecksumChunk) - chunk_.size();
    const auto part = bytes.first(std::min(room, bytes.size()));
    chunk_.insert(chunk_.end(), part.begin(), part.end());
    bytes = bytes.subspan(part.size());
    if (chunk_.size() == static_cast<size_t>(kChecksumChunk)) TRY(finish_chunks());
  }
  return ok_status();
}

Status FileWriter::finish_chunks() {
  if (chunk_.empty()) return ok_status();
  sums_.bytes += static_cast<Bytes>(chunk_.size());
  sums_.chunk_crc32c.push_back(crc32c(chunk_));
  announce(step_, "write", file_);
  TRY(write_all(fd_, chunk_, file_));
  chunk_.clear();
  return ok_status();
}

Status FileWriter::overwrite_front(std::span<const std::byte> bytes) {
  CHECK(chunk_.empty() && static_cast<Bytes>(bytes.size()) <= sums_.bytes);
  announce(step_, "write", file_);
  if (::lseek(fd_, 0, SEEK_SET) != 0) return disk_error("cannot seek", file_, errno);
  return write_all(fd_, bytes, file_);
}

Result<FileSums> FileWriter::finish() {
  TRY(finish_chunks());
  announce(step_, "fsync", file_);
  if (::fsync(fd_) != 0) return disk_error("cannot fsync", file_, errno);
  // Some file systems tell of a full disk only here.
  if (::close(std::exchange(fd_, -1)) != 0) return disk_error("cannot close", file_, errno);
  return std::move(sums_);
}

Status make_directory(const fs::path& directory, const DiskStep& step) {
  announce(step, "mkdir", directory);
  if (::mkdir(directory.c_str(), 0755) != 0) {
    return disk_error("cannot make directory", directory, errno);
  }
  return ok_status();
}

Status sync_directory(const fs::path& directory, const DiskStep& step) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return disk_error("cannot open", directory, errno);
  announce(step, "fsync", directory);
  const int failed = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (failed != 0) return disk_error("cannot fsync", directory, failed);
  return ok_status();
}

Status rename_new(const fs::path& from, const fs::path& to, const DiskStep& step) {
  announce(step, "rename", to);
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) {
    return ok_status();
  }
  if (errno != EINVAL) return disk_error("cannot rename to", to, errno);
  // NFS and a few others lack the flag; names are ours alone, so looking first is enough there.
  std::error_code ignored;
  if (fs::exists(to, ignored)) return disk_error("cannot rename to", to, EEXIST);
  if (::rename(from.c_str(), to.c_str()) != 0) return disk_error("cannot rename to", to, errno);
  return ok_status();
}

Status remove_tree(const fs::path& path, const DiskStep& step) {
  announce(step, "unlink", path);
  std::error_code failed;
  fs::remove_all(path, failed);
  if (failed) return disk_error("cannot remove", path, failed.value());
  return ok_status();
}

Status check_free_space(const fs::path& directory, Bytes bytes) {
  struct statvfs info {};
  if (::statvfs(directory.c_str(), &info) != 0) {
    return disk_error("cannot ask for free space", directory, errno);
  }
  const auto free = static_cast<Bytes>(info.f_bavail * info.f_frsize);
  const Bytes need = bytes + bytes / 10;
  if (free >= need) return ok_status();
  return Error{Code::resource_exhausted,
               directory.string() + ": disk full: need " + std::to_string(need) + " bytes, " +
                   std::to_string(free) + " are free",
               "free space on this disk, or lower save_total_limit"};
}

Status replace_file(const fs::path& file, std::span<const std::span<const std::byte>> parts) {
  fs::path temporary = file;
  temporary += "." + std::to_string(::getpid()) + ".tmp";
  ::unlink(temporary.c_str());  // of an earlier process with our pid
  auto written = [&]() -> Status {
    auto writer = TRY(FileWriter::create(temporary, {}));
    for (const auto& part : parts) TRY(writer.write(part));
    TRY(writer.finish());
    if (::rename(temporary.c_str(), file.c_str()) != 0) {
      return disk_error("cannot rename to", file, errno);
    }
    return sync_directory(file.has_parent_path() ? file.parent_path() : ".", {});
  }();
  if (!written.ok()) ::unlink(temporary.c_str());
  return written;
}

}  // namespace llmctl
