#include "trainer/data/cache/token_cache_build.h"

#include <algorithm>
#include <cstring>

#include "core/base/clock.h"
#include "trainer/data/cache/token_cache_format.h"
#include "trainer/data/cache/token_pipeline.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/disk.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace {

constexpr Millis kPhaseInterval = 500;

// "tokenize 42% 31 MB/s", by the text of finished documents; files are counted whole at their end.
class TokenizeProgress {
 public:
  TokenizeProgress(const std::vector<SourceFile>& sources, const PhaseFn& phase) : phase_(phase) {
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
    std::memcpy(header_.magic, kTokenCacheMagic, sizeof(kTokenCacheMagic));
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
    TokenizeProgress progress(sources, phase);
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
    const bool plain = format_ == nullptr;  // a chat's template writes what it begins with
    if (plain && begins_document_) TRY(put_ids(tokenizer_.missing_begin(stretch.ids)));
    begins_document_ = stretch.ends_document;
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
  TokenCacheHeader header_{};
  std::vector<uint64_t> ends_, hashes_;  // 16 bytes per document in memory until the end
  std::vector<uint64_t> mask_;           // and one bit per token
  uint64_t masked_ = 0;
  bool begins_document_ = true;  // the next stretch does
  std::vector<uint32_t> sums_;
  uint32_t sum_ = 0;   // of the chunk that is being written
  size_t summed_ = 0;  // its bytes so far
  std::vector<uint16_t> narrow_;
};

}  // namespace

Status build_token_cache(const HashedSources& sources,
                         const Tokenizer& tokenizer,
                         const Preparation& preparation,
                         const fs::path& file) {
  std::error_code failed;
  fs::path temporary = file;
  temporary += ".tmp";  // only the holder of the lock writes it
  fs::remove(temporary, failed);
  auto built = [&]() -> Status {
    auto writer = TRY(FileWriter::create(temporary, {}));
    CacheBuilder builder(tokenizer, preparation.format, std::move(writer));
    TRY(builder.build(sources.files, preparation.threads, preparation.phase));
    TRY(check_unchanged(sources));
    fs::rename(temporary, file, failed);
    if (failed) return disk_error("cannot rename to", file, failed.value());
    return sync_directory(file.parent_path(), {});
  }();
  if (!built.ok()) fs::remove(temporary, failed);
  return built;
}

}  // namespace llmctl
