// The scheduler's data directory: one process owns it (an exclusive lock that dies with the
// process), store.db is the store, scheduler.json tells local programs where to connect.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.h"
#include "core/base/units.h"

namespace llmctl {

class DataDir {
 public:
  // Makes the directory when missing. failed_precondition: another scheduler runs on it.
  static Result<DataDir> open(const std::string& path);
  DataDir(DataDir&& other) noexcept;
  DataDir& operator=(DataDir&&) = delete;
  ~DataDir();

  std::string store_path() const { return path_ + "/store.db"; }
  std::string reserve_path() const { return path_ + "/reserve"; }
  // Atomically writes scheduler.json {address, metrics_address, pid}.
  Status announce(const std::string& address, const std::string& metrics_address) const;
  void retract() const;  // removes scheduler.json

 private:
  DataDir(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  std::string path_;
  int lock_;
};

// Disk space kept back for the moment when the disk is full: releasing it lets the store record
// ends and cancellations, so that jobs can leave and a person can make room.
class DiskReserve {
 public:
  static constexpr Bytes kBytes = 8 << 20;       // thousands of small transactions
  static constexpr Bytes kRoomBeside = 1 << 20;  // else the next one would release it again

  // An empty path: none is needed, the store is not on a disk.
  explicit DiskReserve(std::string path) : path_(std::move(path)) {}
  bool hold();  // false: no room for it and a few transactions beside it
  void release();

 private:
  std::string path_;
};

}  // namespace llmctl
