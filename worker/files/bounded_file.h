// BoundedFile: an append-only file, made with its first bytes, that never outgrows its limit. When
// it would, it is renamed to `older` (replacing the previous one) and begun anew, so the newest
// bytes are always there. A write that fails is counted and forgotten: a full disk must not stop a
// trainer.
#pragma once

#include <filesystem>
#include <string_view>

#include "worker/files/open_file.h"

namespace llmctl::worker {

class BoundedFile {
 public:
  BoundedFile(std::filesystem::path path, std::filesystem::path older, Bytes limit_bytes);
  // `bytes` stay together in one file.
  void append(std::string_view bytes);
  Bytes dropped_bytes() const { return dropped_bytes_; }

 private:
  void reopen();

  std::filesystem::path path_, older_;
  Bytes limit_bytes_;
  Bytes size_bytes_ = 0;
  Bytes dropped_bytes_ = 0;
  OpenFile file_;
};

}  // namespace llmctl::worker
