#include "trainer/data/sources/source_hash.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "core/job/job_fields.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/disk.h"
#include "trainer/files/mapped_file.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace {

constexpr Millis kSettled = 2'000;        // the coarsest file systems count in two seconds
constexpr size_t kReadBytes = 8 << 20;    // between looks at the clock of the phase
constexpr size_t kPhaseBytes = 32 << 20;  // read between two progress reports
constexpr size_t kHexDigits = 32;

struct FilesState {
  std::string hash;
  Millis changed_unix_ms = 0;  // the newest change of any of them
};

// How the file is read, as far as its tokens depend on it.
std::string reading(const SourceFile& source) {
  if (source.chat == nullptr) return source.jsonl ? "jsonl " + source.field : "text";
  DatasetSpec names = *source.chat;
  names.path.clear();
  names.weight.reset();
  std::string text = "chat";
  for (const Field& field : dataset_fields(names)) text += '\n' + value_text(field);
  return text;
}

Result<FilesState> state_of(const std::vector<SourceFile>& sources) {
  ContentHash all;
  FilesState state;
  for (const SourceFile& source : sources) {
    struct stat info {};
    if (::stat(source.path.c_str(), &info) != 0) {
      return disk_error("cannot look at", source.path, errno);
    }
    for (const std::string& text : {source.path.string(), reading(source)}) {
      all.add_number(text.size());
      all.add(text);
    }
    all.add_number(info.st_dev);
    all.add_number(info.st_ino);
    all.add_number(static_cast<uint64_t>(info.st_size));
    for (const timespec& time : {info.st_mtim, info.st_ctim}) {
      all.add_number(static_cast<uint64_t>(time.tv_sec));
      all.add_number(static_cast<uint64_t>(time.tv_nsec));
      state.changed_unix_ms =
          std::max<Millis>(state.changed_unix_ms, time.tv_sec * 1000 + time.tv_nsec / 1'000'000);
    }
  }
  state.hash = all.hex();
  return state;
}

Result<std::string> read_and_hash(const std::vector<SourceFile>& sources, const PhaseFn& phase) {
  ContentHash all;
  size_t unreported = 0;
  for (const SourceFile& source : sources) {
    const auto file = TRY(MappedFile::open(source.path, /*input=*/true));
    std::string_view rest = as_text(file->bytes());
    all.add_number(rest.size());
    all.add_number(hash64(reading(source)));
    while (!rest.empty()) {
      const std::string_view part = rest.substr(0, kReadBytes);
      all.add(part);
      rest.remove_prefix(part.size());
      unreported += part.size();
      if (unreported < kPhaseBytes) continue;
      unreported = 0;
      if (phase) phase("hash " + source.path.string());
    }
  }
  return all.hex();
}

std::optional<std::string> remembered(const fs::path& file) {
  const auto mapped = MappedFile::open(file);
  if (!mapped.ok()) return std::nullopt;
  const std::string_view text = as_text((*mapped)->bytes());
  const bool whole = text.size() == kHexDigits &&
                     text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  return whole ? std::optional<std::string>(text) : std::nullopt;
}

}  // namespace

Result<std::string> state_of_sources(const std::vector<SourceFile>& files) {
  return TRY(state_of(files)).hash;
}

Status check_unchanged(const HashedSources& sources) {
  if (sources.state.empty() || TRY(state_of(sources.files)).hash == sources.state) {
    return ok_status();
  }
  std::string name = sources.files.front().path.string();
  if (sources.files.size() > 1) name += " or another file of the datasets";
  return Error{Code::failed_precondition, name + " changed while it was read",
               "llmctl retry when nothing writes to it any more"};
}

Result<std::string> hash_sources(const std::vector<SourceFile>& sources,
                                 const fs::path& cache_dir,
                                 Millis now_unix_ms,
                                 const PhaseFn& phase) {
  const FilesState before = TRY(state_of(sources));
  const fs::path file = cache_dir / ("sources-" + before.hash + ".txt");
  if (auto known = remembered(file)) return *known;
  const std::string hash = TRY(read_and_hash(sources, phase));
  const FilesState after = TRY(state_of(sources));
  if (after.hash == before.hash && now_unix_ms - before.changed_unix_ms >= kSettled) {
    std::error_code failed;
    fs::create_directories(cache_dir, failed);
    const auto bytes = as_bytes(hash);
    (void)replace_file(file, std::span(&bytes, 1));  // not being able to costs only time
  }
  return hash;
}

}  // namespace llmctl
