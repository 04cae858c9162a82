// The lock on a file of the cache directory that is about to be built, so that of several processes
// one builds it and the others take it.
#pragma once

#include <filesystem>

#include "core/base/result.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {

// Holds `<file>.lock` while it lives; the system drops it when the process dies.
class BuildLock {
 public:
  static Result<BuildLock> acquire(const std::filesystem::path& file, const PhaseFn& phase);
  BuildLock(BuildLock&& other) noexcept;
  BuildLock& operator=(BuildLock&&) = delete;
  ~BuildLock();

 private:
  explicit BuildLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace llmctl
