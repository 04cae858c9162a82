// Writing that survives a crash: every call that changes the disk goes through here, is announced
// to a DiskStep first (so a test can stop the program before any of them), and fails with a code
// the caller can act on: resource_exhausted when the disk is full, unavailable otherwise. A failed
// fsync is never repeated: the kernel may have dropped the pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/units.h"

namespace llmctl {

inline constexpr Bytes kChecksumChunk = 4 << 20;  // one CRC32C per this many bytes of a file

// ("mkdir" | "create" | "write" | "fsync" | "rename" | "unlink", path), before the call.
using DiskStep = std::function<void(std::string_view call, const std::filesystem::path& path)>;

struct FileSums {
  Bytes bytes = 0;
  std::vector<uint32_t> chunk_crc32c;
};

// A new file, written front to back. It is incomplete until finish() was called; the destructor
// only closes the descriptor.
class FileWriter {
 public:
  static Result<FileWriter> create(std::filesystem::path file, DiskStep step);
  FileWriter(FileWriter&& other) noexcept;
  FileWriter& operator=(FileWriter&&) = delete;
  ~FileWriter();

  Status write(std::span<const std::byte> bytes);
  // Replaces bytes at the front that were written as a placeholder. Call after finish_chunks().
  Status overwrite_front(std::span<const std::byte> bytes);
  Status finish_chunks();     // writes what is buffered
  Result<FileSums> finish();  // finish_chunks, fsync, close

 private:
  FileWriter(int fd, std::filesystem::path file, DiskStep step);
  int fd_;
  std::filesystem::path file_;
  DiskStep step_;
  std::vector<std::byte> chunk_;
  FileSums sums_;
};

Error disk_error(std::string_view what, const std::filesystem::path& path, int error_number);
Status make_directory(const std::filesystem::path& directory, const DiskStep& step);
Status sync_directory(const std::filesystem::path& directory, const DiskStep& step);
// Fails with already_exists rather than replace `to`.
Status rename_new(const std::filesystem::path& from,
                  const std::filesystem::path& to,
                  const DiskStep& step);
Status remove_tree(const std::filesystem::path& path, const DiskStep& step);
// resource_exhausted unless `bytes` plus a tenth are free where `directory` lies.
Status check_free_space(const std::filesystem::path& directory, Bytes bytes);
// Writes `<file>.<pid>.tmp`, fsyncs, renames over `file`, fsyncs the directory.
Status replace_file(const std::filesystem::path& file,
                    std::span<const std::span<const std::byte>> parts);

}  // namespace llmctl
