// A file mapped read-only, whole. Immutable; share it through shared_ptr, views into it live as
// long. Errors: not_found, or unavailable with the system's words. Who makes the file shorter while
// it is mapped takes pages away, and touching one of them is SIGBUS: a handler may ask whose it
// was.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "core/base/result.h"

namespace llmctl {

class MappedFile {
 public:
  // `input`: people give it, as data, and may change it; else it is our own.
  static Result<std::shared_ptr<const MappedFile>> open(const std::filesystem::path& file,
                                                        bool input = false);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  MappedFile(std::span<const std::byte> bytes, std::string name, bool input);
  std::span<const std::byte> bytes_;
  std::string name_;
  int place_ = -1;  // among the mappings that can be asked for
};

// The mapping that an address lies in. Async-signal-safe.
struct MappedPage {
  const char* name = nullptr;  // of the file, as the inside of a JSON string; nullptr: none known
  bool input = false;
};
MappedPage mapped_page_at(const void* address);

}  // namespace llmctl
