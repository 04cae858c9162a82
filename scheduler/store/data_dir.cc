#include "scheduler/store/data_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/base/write_and_rename.h"

namespace llmctl {
namespace {

Error system_error(const std::string& what) {
  return Error{Code::failed_precondition, what + ": " + std::strerror(errno), ""};
}

}  // namespace

Result<DataDir> DataDir::open(const std::string& path) {
  std::error_code failed;
  std::filesystem::create_directories(path, failed);
  const int lock = ::open((path + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return system_error("data directory " + path);
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock);
    return Error{Code::failed_precondition, "another scheduler runs on " + path,
                 "stop it, or choose another --data-dir"};
  }
  ::chmod(path.c_str(), 0700);
  return DataDir(path, lock);
}

DataDir::DataDir(DataDir&& other) noexcept : path_(std::move(other.path_)), lock_(other.lock_) {
  other.lock_ = -1;
}

DataDir::~DataDir() {
  if (lock_ >= 0) ::close(lock_);
}

Status DataDir::announce(const std::string& address, const std::string& metrics_address) const {
  const nlohmann::json document = {
      {"address", address}, {"metrics_address", metrics_address}, {"pid", ::getpid()}};
  const std::string path = path_ + "/scheduler.json";
  const auto failure = write_and_rename(path, document.dump() + '\n', {.mode = 0600});
  if (!failure) return ok_status();
  errno = failure->error_number;
  return system_error("write " + failure->path);
}

void DataDir::retract() const {
  ::unlink((path_ + "/scheduler.json").c_str());
}

bool DiskReserve::hold() {
  if (path_.empty()) return true;
  const int file = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return false;
  struct statvfs disk = {};
  const bool held = ::posix_fallocate(file, 0, kBytes) == 0 && ::fstatvfs(file, &disk) == 0 &&
                    static_cast<Bytes>(disk.f_bavail * disk.f_frsize) >= kRoomBeside;
  ::close(file);
  if (!held) release();
  return held;
}

void DiskReserve::release() {
  ::unlink(path_.c_str());
}

}  // namespace llmctl
