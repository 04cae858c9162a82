// All documents of a job's datasets as token ids in one memory-mapped file, keyed by the content of
// data and tokenizer, so jobs, ranks and restarts share it. Little endian:
//   header  64 bytes: magic "llmctlT1", id bytes (2 or 4), tokens, documents, CRC32C of the rest,
//           CRC32C of the header
//   ids     u16 or u32 each; every document ends with the end-of-text token, if there is one
//   ends    u64 each, after padding to 8: one past the document's last id
//   hashes  u64 each: XXH3-64 of the document's text
// A file with its final name is whole (written aside, fsynced, renamed); opening verifies all of it
// and rebuilds one that is damaged. Immutable once open; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "trainer/dataset.h"
#include "trainer/mapped_file.h"
#include "trainer/tokenizer.h"

namespace llmctl {

class TokenCache {
 public:
  // Waits for another process that is building the same cache, then opens that one's. `threads`
  // tokenize; 0: all. The file does not depend on their number.
  static Result<TokenCache> open_or_build(const std::vector<SourceFile>& sources,
                                          const std::string& sources_hash,
                                          const Tokenizer& tokenizer,
                                          const std::filesystem::path& directory,
                                          int threads,
                                          const PhaseFn& phase);
  static Result<TokenCache> open(const std::filesystem::path& file);  // data_loss: damaged

  int64_t tokens() const { return tokens_; }
  std::span<const uint64_t> document_ends() const { return ends_; }
  std::span<const uint64_t> document_hashes() const { return hashes_; }
  void read(int64_t first, std::span<int32_t> ids) const;  // requires first + size <= tokens()

 private:
  std::shared_ptr<const MappedFile> file_;
  int64_t tokens_ = 0;
  const uint16_t* narrow_ = nullptr;  // one of the two
  const uint32_t* wide_ = nullptr;
  std::span<const uint64_t> ends_, hashes_;
};

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
