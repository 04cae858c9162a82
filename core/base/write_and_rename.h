// Replacing a small file whole: it is written beside its place and renamed, so a reader, also one
// after a crash, finds the old text or the new one and nothing between. Any thread; two writers of
// one path would use the same temporary file.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace llmctl {

struct WriteOptions {
  mode_t mode = 0644;
  bool durable = true;  // on disk, with its name, when the call returns: survives a power failure
};
struct WriteFailure {
  std::string path;       // the file, PATH.tmp or the folder
  std::string_view step;  // open | write | fsync | rename
  int error_number = 0;
};
// None: done. Who calls words the failure.
std::optional<WriteFailure> write_and_rename(const std::filesystem::path& path,
                                             std::string_view text,
                                             const WriteOptions& options);

}  // namespace llmctl
