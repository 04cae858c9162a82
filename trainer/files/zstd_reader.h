// The content of a .zst file (RFC 8878), front to back in pieces. Hostile input: the window is at
// most 128 MiB, the content at most 1,000 times the file and 64 MiB; beyond is invalid_argument, as
// is damage. One thread.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "trainer/files/mapped_file.h"

namespace llmctl {

class ZstdReader {
 public:
  static Result<ZstdReader> open(const std::filesystem::path& file);
  ~ZstdReader();
  ZstdReader(ZstdReader&&) noexcept;

  // Appends some more; false at the end of the content.
  Result<bool> read(std::string& text);

 private:
  struct State;
  explicit ZstdReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace llmctl
