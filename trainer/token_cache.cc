#include "trainer/token_cache.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/clock.h"
#include "trainer/content_hash.h"
#include "trainer/crc32c.h"
#include "trainer/disk.h"
#include "trainer/token_pipeline.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace {

constexpr char kMagic[8] = {'l', 'l', 'm', 'c', 't', 'l', 'T', '1'};
constexpr Millis kPhaseInterval = 500;
constexpr int kLockPollMs = 200;

struct Header {
  char magic[8];
  uint32_t id_bytes;
  uint32_t payload_crc;
  uint64_t tokens, documents;
  char zero[28];
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
  CacheBuilder(const Tokenizer& tokenizer, FileWriter writer)
      : tokenizer_(tokenizer), writer_(std::move(writer)) {
    header_.id_bytes = tokenizer.vocab_size() <= 65'536 ? 2 : 4;
    std::memcpy(header_.magic, kMagic, sizeof(kMagic));
  }

  Status build(const std::vector<SourceFile>& sources, int threads, const PhaseFn& phase) {
    TRY(writer_.write(std::as_bytes(std::span(&header_, 1))));
    Progress progress(sources, phase);
    TokenPipeline pipeline(
        tokenizer_, usable_threads(threads),
        [this](std::span<const int32_t> ids, bool end) { return put_ids(ids, end); });
    for (const SourceFile& source : sources) {
      progress.begin_file(source);
      const auto add = [&](std::string_view text) -> Status {
        hashes_.push_back(hash64(text));
        TRY(pipeline.add(text));
        progress.text(text.size());
        return ok_status();
      };
      TRY(for_each_document(source, add));
    }
    TRY(pipeline.finish());
    const std::vector<std::byte> padding((8 - header_.tokens * header_.id_bytes % 8) % 8);
    TRY(put(padding));
    TRY(put(std::as_bytes(std::span(ends_))));
    TRY(put(std::as_bytes(std::span(hashes_))));
    header_.documents = ends_.size();
    header_.header_crc = crc_of(header_);
    TRY(writer_.finish_chunks());
    TRY(writer_.overwrite_front(std::as_bytes(std::span(&header_, 1))));
    TRY(writer_.finish());
    return ok_status();
  }

 private:
  Status put(std::span<const std::byte> bytes) {
    header_.payload_crc = crc32c(bytes, header_.payload_crc);
    return writer_.write(bytes);
  }

  Status put_ids(std::span<const int32_t> ids, bool document_ends) {
    TRY(put_ids(ids));
    if (!document_ends) return ok_status();
    if (const auto eos = tokenizer_.eos()) TRY(put_ids(std::span(&*eos, 1)));
    ends_.push_back(header_.tokens);
    return ok_status();
  }

  Status put_ids(std::span<const int32_t> ids) {
    header_.tokens += ids.size();
    if (header_.id_bytes == 4) return put(std::as_bytes(ids));
    narrow_.assign(ids.begin(), ids.end());
    return put(std::as_bytes(std::span(narrow_)));
  }

  const Tokenizer& tokenizer_;
  FileWriter writer_;
  Header header_{};
  std::vector<uint64_t> ends_, hashes_;  // 16 bytes per document in memory until the end
  std::vector<uint16_t> narrow_;
};

Status build_file(const std::vector<SourceFile>& sources,
                  const Tokenizer& tokenizer,
                  const fs::path& file,
                  int threads,
                  const PhaseFn& phase) {
  std::error_code failed;
  fs::path temporary = file;
  temporary += ".tmp";  // only the holder of the lock writes it
  fs::remove(temporary, failed);
  auto built = [&]() -> Status {
    auto writer = TRY(FileWriter::create(temporary, {}));
    CacheBuilder builder(tokenizer, std::move(writer));
    TRY(builder.build(sources, threads, phase));
    fs::rename(temporary, file, failed);
    if (failed) return disk_error("cannot rename to", file, failed.value());
    return sync_directory(file.parent_path(), {});
  }();
  if (!built.ok()) fs::remove(temporary, failed);
  return built;
}

}  // namespace

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
  const auto payload = bytes.subspan(sizeof(header));
  if (header.tokens > payload.size() || header.documents > payload.size()) return damaged("size");
  const size_t ids_bytes = (header.tokens * header.id_bytes + 7) / 8 * 8;
  if (ids_bytes + header.documents * 16 != payload.size()) return damaged("size");
  if (crc32c(payload) != header.payload_crc) return damaged("checksum");

  TokenCache cache;
  cache.file_ = mapped;
  cache.tokens_ = static_cast<int64_t>(header.tokens);
  if (header.id_bytes == 2) cache.narrow_ = reinterpret_cast<const uint16_t*>(payload.data());
  if (header.id_bytes == 4) cache.wide_ = reinterpret_cast<const uint32_t*>(payload.data());
  const auto* table = reinterpret_cast<const uint64_t*>(payload.data() + ids_bytes);
  cache.ends_ = {table, header.documents};
  cache.hashes_ = {table + header.documents, header.documents};
  return cache;
}

Result<TokenCache> TokenCache::open_or_build(const std::vector<SourceFile>& sources,
                                             const std::string& sources_hash,
                                             const Tokenizer& tokenizer,
                                             const fs::path& directory,
                                             int threads,
                                             const PhaseFn& phase) {
  std::error_code failed;
  fs::create_directories(directory, failed);
  if (failed) return disk_error("cannot make directory", directory, failed.value());
  const fs::path file =
      directory / ("tokens-" + content_hash(sources_hash + tokenizer.fingerprint()) + ".bin");
  auto ready = open(file);
  if (ready.ok()) return ready;
  const auto lock = TRY(BuildLock::acquire(file, phase));
  ready = open(file);  // another process may have built it while we waited
  if (ready.ok()) return ready;
  TRY(build_file(sources, tokenizer, file, threads, phase));
  return open(file);
}

void TokenCache::read(int64_t first, std::span<int32_t> ids) const {
  CHECK(first >= 0 && first + static_cast<int64_t>(ids.size()) <= tokens_);
  const auto at = static_cast<size_t>(first);
  for (size_t i = 0; i < ids.size(); ++i) {
    ids[i] = narrow_ != nullptr ? narrow_[at + i] : static_cast<int32_t>(wide_[at + i]);
  }
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
