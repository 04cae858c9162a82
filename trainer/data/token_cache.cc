#include "trainer/data/token_cache.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "core/base/clock.h"
#include "trainer/data/token_pipeline.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/crc32c.h"
#include "trainer/files/disk.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace {

constexpr char kMagic[8] = {'l', 'l', 'm', 'c', 't', 'l', 'T', '2'};
constexpr size_t kSumBytes = 64 << 10;
constexpr Millis kPhaseInterval = 500;
constexpr int kLockPollMs = 200;

struct Header {
  char magic[8];
  uint32_t id_bytes, has_mask;
  uint64_t tokens, documents;
  uint32_t sums_crc;
  char zero[24];
  uint32_t header_crc;  // of the 60 bytes before it
};
static_assert(sizeof(Header) == 64);

uint32_t crc_of(const Header& header) {
  return crc32c(std::as_bytes(std::span(&header, 1)).first(offsetof(Header, header_crc)));
}

// "tokenize 42% 31 MB/s", by the text of finished documents; files are counted whole at their end.
class Progress {
 public:
  Progress(const std::vector<SourceFile>& sources, const PhaseFn& phase) : phase_(phase) {
    for (const SourceFile& source : sources) total_ += size_of(source);
  }
  void text(size_t bytes) {
    text_ += static_cast<Bytes>(bytes);
    const Millis now = clock_.boot_ms();
    if (!phase_ || now - reported_ms_ < kPhaseInterval) return;
    reported_ms_ = now;
    const Bytes done = files_ + std::min(text_ - text_before_file_, file_);
    phase_("tokenize " + std::to_string(std::min<Bytes>(99, 100 * done / (total_ + 1))) + "% " +
           std::to_string(text_ / 1000 / std::max<Millis>(1, now - begin_ms_)) + " MB/s");
  }
  void begin_file(const SourceFile& source) {
    files_ += file_;
    file_ = size_of(source);
    text_before_file_ = text_;
  }

 private:
  static Bytes size_of(const SourceFile& source) {
    std::error_code failed;
    const auto size = fs::file_size(source.path, failed);
    return failed ? 0 : static_cast<Bytes>(size);
  }

  const PhaseFn& phase_;
  SystemClock clock_;
  Millis begin_ms_ = clock_.boot_ms(), reported_ms_ = begin_ms_;
  Bytes total_ = 0, files_ = 0, file_ = 0;  // files_: those before this one, which has file_
  Bytes text_ = 0, text_before_file_ = 0;
};

class CacheBuilder {
 public:
  CacheBuilder(const Tokenizer& tokenizer, const ChatFormat* format, FileWriter writer)
      : tokenizer_(tokenizer), format_(format), writer_(std::move(writer)) {
    header_.id_bytes = tokenizer.vocab_size() <= 65'536 ? 2 : 4;
    header_.has_mask = format != nullptr ? 1 : 0;
    std::memcpy(header_.magic, kMagic, sizeof(kMagic));
  }

  Status build(const std::vector<SourceFile>& sources, int threads, const PhaseFn& phase) {
    TRY(writer_.write(std::as_bytes(std::span(&header_, 1))));
    TRY(tokenize(sources, threads, phase));
    const std::vector<std::byte> padding((8 - header_.tokens * header_.id_bytes % 8) % 8);
    TRY(put(padding));
    if (format_ != nullptr) TRY(put(std::as_bytes(std::span(mask_))));
    TRY(put(std::as_bytes(std::span(ends_))));
    TRY(put(std::as_bytes(std::span(hashes_))));
    if (summed_ > 0) sums_.push_back(sum_);
    const auto sums = std::as_bytes(std::span(sums_));
    TRY(writer_.write(sums));
    header_.sums_crc = crc32c(sums);
    header_.documents = ends_.size();
    header_.header_crc = crc_of(header_);
    TRY(writer_.finish_chunks());
    TRY(writer_.overwrite_front(std::as_bytes(std::span(&header_, 1))));
    TRY(writer_.finish());
    return ok_status();
  }

 private:
  Status tokenize(const std::vector<SourceFile>& sources, int threads, const PhaseFn& phase) {
    Progress progress(sources, phase);
    TokenPipeline pipeline(tokenizer_, format_, usable_threads(threads),
                           [this](const TokenPipeline::Stretch& stretch) { return put(stretch); });
    for (const SourceFile& source : sources) {
      progress.begin_file(source);
      const auto add = [&](std::string_view text, int64_t line) -> Status {
        hashes_.push_back(hash64(text));
        TRY(source.chat ? pipeline.add_record(text, source, line) : pipeline.add(text));
        progress.text(text.size());
        return ok_status();
      };
      if (source.chat) {
        TRY(for_each_record(source, add));
      } else {
        TRY(for_each_document(source, [&](std::string_view text) { return add(text, 0); }));
      }
    }
    return pipeline.finish();
  }

  Status put(std::span<const std::byte> bytes) {
    TRY(writer_.write(bytes));
    while (!bytes.empty()) {
      const auto part = bytes.first(std::min(bytes.size(), kSumBytes - summed_));
      sum_ = crc32c(part, sum_);
      summed_ += part.size();
      bytes = bytes.subspan(part.size());
      if (summed_ < kSumBytes) continue;
      sums_.push_back(sum_);
      sum_ = 0;
      summed_ = 0;
    }
    return ok_status();
  }

  Status put(const TokenPipeline::Stretch& stretch) {
    TRY(put_ids(stretch.ids));
    put_mask(stretch.learned);
    if (!stretch.ends_document) return ok_status();
    const auto eos = tokenizer_.eos();
    if (eos && format_ == nullptr) TRY(put_ids(std::span(&*eos, 1)));
    ends_.push_back(header_.tokens);
    return ok_status();
  }

  Status put_ids(std::span<const int32_t> ids) {
    header_.tokens += ids.size();
    if (header_.id_bytes == 4) return put(std::as_bytes(ids));
    narrow_.assign(ids.begin(), ids.end());
    return put(std::as_bytes(std::span(narrow_)));
  }

  void put_mask(std::span<const uint8_t> learned) {
    for (const uint8_t one : learned) {
      if (masked_ % 64 == 0) mask_.push_back(0);
      mask_.back() |= uint64_t{one} << (masked_++ % 64);
    }
  }

  const Tokenizer& tokenizer_;
  const ChatFormat* format_;
  FileWriter writer_;
  Header header_{};
  std::vector<uint64_t> ends_, hashes_;  // 16 bytes per document in memory until the end
  std::vector<uint64_t> mask_;           // and one bit per token
  uint64_t masked_ = 0;
  std::vector<uint32_t> sums_;
  uint32_t sum_ = 0;   // of the chunk that is being written
  size_t summed_ = 0;  // its bytes so far
  std::vector<uint16_t> narrow_;
};

Status build_file(const std::vector<SourceFile>& sources,
                  const Tokenizer& tokenizer,
                  const ChatFormat* format,
                  const fs::path& file,
                  int threads,
                  const PhaseFn& phase) {
  std::error_code failed;
  fs::path temporary = file;
  temporary += ".tmp";  // only the holder of the lock writes it
  fs::remove(temporary, failed);
  auto built = [&]() -> Status {
    auto writer = TRY(FileWriter::create(temporary, {}));
    CacheBuilder builder(tokenizer, format, std::move(writer));
    TRY(builder.build(sources, threads, phase));
    fs::rename(temporary, file, failed);
    if (failed) return disk_error("cannot rename to", file, failed.value());
    return sync_directory(file.parent_path(), {});
  }();
  if (!built.ok()) fs::remove(temporary, failed);
  return built;
}

}  // namespace

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
  Header header{};
  if (bytes.size() < sizeof(header)) return damaged("shorter than its header");
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0 ||
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

Result<TokenCache> TokenCache::open_or_build(const std::vector<SourceFile>& sources,
                                             const std::string& sources_hash,
                                             const Tokenizer& tokenizer,
                                             const ChatFormat* format,
                                             const fs::path& directory,
                                             int threads,
                                             const PhaseFn& phase) {
  std::error_code failed;
  fs::create_directories(directory, failed);
  if (failed) return disk_error("cannot make directory", directory, failed.value());
  const std::string key =
      sources_hash + tokenizer.fingerprint() + (format != nullptr ? format->fingerprint() : "");
  const fs::path file = directory / ("tokens-" + content_hash(key) + ".bin");
  auto ready = open(file);
  if (ready.ok()) return ready;
  const auto lock = TRY(BuildLock::acquire(file, phase));
  ready = open(file);  // another process may have built it while we waited
  if (ready.ok()) return ready;
  TRY(build_file(sources, tokenizer, format, file, threads, phase));
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

Result<BuildLock> BuildLock::acquire(const fs::path& file, const PhaseFn& phase) {
  fs::path lock_file = file;
  lock_file += ".lock";
  const int fd = ::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return disk_error("cannot open", lock_file, errno);
  BuildLock lock(fd);
  for (int turn = 0; ::flock(fd, LOCK_EX | LOCK_NB) != 0; ++turn) {
    if (errno != EWOULDBLOCK && errno != EINTR) return disk_error("cannot lock", lock_file, errno);
    if (phase && turn % 5 == 0) phase("wait for another process to prepare the data");
    ::poll(nullptr, 0, kLockPollMs);
  }
  return lock;
}

BuildLock::BuildLock(BuildLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

BuildLock::~BuildLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace llmctl
