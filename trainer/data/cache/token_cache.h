// All documents of a dataset as token ids in one memory-mapped file, keyed by the content of data
// and tokenizer and by how chats become text, so jobs, ranks, restarts and the trials of a sweep
// share it. Little endian:
//   header  64 bytes: magic "llmctlT2", id bytes (2 or 4), 1 if there is a mask, tokens, documents,
//           CRC32C of the sums, CRC32C of the header
//   ids     u16 or u32 each, padded to 8; documents of text end with the end-of-text token
//   mask    u64 words, one bit per token, lowest first: 1 if the token is learned; chats only
//   ends    u64 each: one past the document's last id
//   hashes  u64 each: XXH3-64 of the document's text or JSON
//   sums    u32 each: CRC32C of every 64 KiB of what lies between header and sums
// A file with its final name is whole (written aside, fsynced, renamed). Opening verifies all but
// ids and mask and rebuilds a damaged file; those are verified where they are first read, which
// fails with unavailable and removes a damaged file, so that the next start builds it again.
// Immutable once open; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "trainer/data/cache/preparation.h"
#include "trainer/data/sources/source_hash.h"
#include "trainer/files/mapped_file.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {

class TokenCache {
 public:
  // Waits for another process that is building the same cache, then opens that one's.
  static Result<TokenCache> open_or_build(const HashedSources& sources,
                                          const Tokenizer& tokenizer,
                                          const Preparation& preparation);
  static Result<TokenCache> open(const std::filesystem::path& file);  // data_loss: damaged

  int64_t tokens() const { return tokens_; }
  std::span<const uint64_t> document_ends() const { return ends_; }
  std::span<const uint64_t> document_hashes() const { return hashes_; }
  // Both require first + size <= tokens().
  Status read(int64_t first, std::span<int32_t> ids) const;
  Status read_learned(int64_t first, std::span<uint8_t> learned) const;  // all 1 without a mask
  Status verify() const;                                                 // all that is not yet

 private:
  class Sums;
  Status verify(const void* first, size_t bytes) const;

  std::shared_ptr<const MappedFile> file_;
  std::shared_ptr<Sums> sums_;
  int64_t tokens_ = 0;
  const uint16_t* narrow_ = nullptr;  // one of the two
  const uint32_t* wide_ = nullptr;
  const uint64_t* mask_ = nullptr;  // null: every token is learned
  std::span<const uint64_t> ends_, hashes_;
};

}  // namespace llmctl
