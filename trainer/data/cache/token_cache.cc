#include "trainer/data/cache/token_cache.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "trainer/data/cache/build_lock.h"
#include "trainer/data/cache/prune.h"
#include "trainer/data/cache/token_cache_build.h"
#include "trainer/data/cache/token_cache_format.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/disk.h"

namespace llmctl {
namespace fs = std::filesystem;

// Which chunks of the file have been compared with their sums.
class TokenCache::Sums {
 public:
  Sums(fs::path file, std::span<const std::byte> payload, const std::byte* sums)
      : file_(std::move(file)),
        payload_(payload),
        sums_(reinterpret_cast<const uint32_t*>(sums)),
        seen_((payload.size() + kSumBytes - 1) / kSumBytes) {}

  // Threads that meet at one chunk both do the work and agree.
  bool good(const void* first, size_t bytes) {
    const auto begin = static_cast<size_t>(static_cast<const std::byte*>(first) - payload_.data());
    for (size_t i = begin / kSumBytes; i * kSumBytes < begin + bytes; ++i) {
      if (seen_[i].load(std::memory_order_relaxed) != 0) continue;
      const auto rest = payload_.subspan(i * kSumBytes);
      if (crc32c(rest.first(std::min(rest.size(), kSumBytes))) != sums_[i]) return false;
      seen_[i].store(1, std::memory_order_relaxed);
    }
    return true;
  }
  const fs::path& file() const { return file_; }
  std::span<const std::byte> payload() const { return payload_; }

 private:
  fs::path file_;
  std::span<const std::byte> payload_;
  const uint32_t* sums_;
  std::vector<std::atomic<uint8_t>> seen_;
};

Result<TokenCache> TokenCache::open(const fs::path& file) {
  const auto mapped = TRY(MappedFile::open(file));
  const auto bytes = mapped->bytes();
  const auto damaged = [&](const char* what) {
    return Error{Code::data_loss, file.string() + ": damaged token cache: " + what, ""};
  };
  TokenCacheHeader header{};
  if (bytes.size() < sizeof(header)) return damaged("shorter than its header");
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (std::memcmp(header.magic, kTokenCacheMagic, sizeof(kTokenCacheMagic)) != 0 ||
      crc_of(header) != header.header_crc || (header.id_bytes != 2 && header.id_bytes != 4)) {
    return damaged("bad header");
  }
  const auto rest = bytes.subspan(sizeof(header));
  if (header.tokens > rest.size() || header.documents > rest.size()) return damaged("size");
  const size_t ids_bytes = (header.tokens * header.id_bytes + 7) / 8 * 8;
  const size_t mask_bytes = header.has_mask != 0 ? (header.tokens + 63) / 64 * 8 : 0;
  const size_t payload = ids_bytes + mask_bytes + header.documents * 16;
  const size_t sums = (payload + kSumBytes - 1) / kSumBytes * sizeof(uint32_t);
  if (payload + sums != rest.size()) return damaged("size");
  if (crc32c(rest.subspan(payload)) != header.sums_crc) return damaged("checksum");

  TokenCache cache;
  cache.file_ = mapped;
  cache.sums_ = std::make_shared<Sums>(file, rest.first(payload), rest.data() + payload);
  cache.tokens_ = static_cast<int64_t>(header.tokens);
  if (header.id_bytes == 2) cache.narrow_ = reinterpret_cast<const uint16_t*>(rest.data());
  if (header.id_bytes == 4) cache.wide_ = reinterpret_cast<const uint32_t*>(rest.data());
  if (header.has_mask != 0) {
    cache.mask_ = reinterpret_cast<const uint64_t*>(rest.data() + ids_bytes);
  }
  const auto* table = reinterpret_cast<const uint64_t*>(rest.data() + ids_bytes + mask_bytes);
  cache.ends_ = {table, header.documents};
  cache.hashes_ = {table + header.documents, header.documents};
  if (!cache.sums_->good(table, header.documents * 16)) return damaged("checksum");
  return cache;
}

Status TokenCache::verify(const void* first, size_t bytes) const {
  if (sums_->good(first, bytes)) return ok_status();
  std::error_code ignored;
  fs::remove(sums_->file(), ignored);
  return Error{Code::unavailable,
               sums_->file().string() + ": damaged token cache, removed: start again to build it",
               ""};
}

Status TokenCache::verify() const {
  return verify(sums_->payload().data(), sums_->payload().size());
}

Result<TokenCache> TokenCache::open_or_build(const HashedSources& sources,
                                             const Tokenizer& tokenizer,
                                             const Preparation& preparation) {
  const fs::path& directory = preparation.cache_dir;
  std::error_code failed;
  fs::create_directories(directory, failed);
  if (failed) return disk_error("cannot make directory", directory, failed.value());
  std::string key = kTokenizerCode + sources.hash + tokenizer.fingerprint();
  if (preparation.format != nullptr) key += preparation.format->fingerprint();
  const fs::path file = directory / ("tokens-" + content_hash(key) + ".bin");
  auto ready = open(file);
  if (ready.ok()) {
    mark_used(file);
    return ready;
  }
  prune_cache(directory);
  const auto lock = TRY(BuildLock::acquire(file, preparation.phase));
  ready = open(file);  // another process may have built it while we waited
  if (ready.ok()) return ready;
  TRY(build_token_cache(sources, tokenizer, preparation, file));
  return open(file);
}

Status TokenCache::read(int64_t first, std::span<int32_t> ids) const {
  CHECK(first >= 0 && first + static_cast<int64_t>(ids.size()) <= tokens_);
  const auto at = static_cast<size_t>(first);
  TRY(narrow_ != nullptr ? verify(narrow_ + at, ids.size() * sizeof(*narrow_))
                         : verify(wide_ + at, ids.size() * sizeof(*wide_)));
  for (size_t i = 0; i < ids.size(); ++i) {
    ids[i] = narrow_ != nullptr ? narrow_[at + i] : static_cast<int32_t>(wide_[at + i]);
  }
  return ok_status();
}

Status TokenCache::read_learned(int64_t first, std::span<uint8_t> learned) const {
  CHECK(first >= 0 && first + static_cast<int64_t>(learned.size()) <= tokens_);
  if (mask_ == nullptr || learned.empty()) {
    std::fill(learned.begin(), learned.end(), uint8_t{1});
    return ok_status();
  }
  const auto at = static_cast<size_t>(first);
  const size_t words = (at + learned.size() - 1) / 64 - at / 64 + 1;
  TRY(verify(mask_ + at / 64, words * sizeof(*mask_)));
  for (size_t i = 0; i < learned.size(); ++i) {
    learned[i] = mask_[(at + i) / 64] >> ((at + i) % 64) & 1;
  }
  return ok_status();
}

}  // namespace llmctl
