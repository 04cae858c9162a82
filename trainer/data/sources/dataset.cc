#include "trainer/data/sources/dataset.h"

#include <simdjson.h>

#include <algorithm>
#include <cstring>

#include "core/base/limits.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/glob_walk.h"
#include "trainer/files/mapped_file.h"
#include "trainer/files/zstd_reader.h"

namespace llmctl {
namespace fs = std::filesystem;
namespace dom = simdjson::dom;
namespace {

constexpr size_t kFiles = 1'000'000;        // of one job; more belong into JSONL files
constexpr size_t kSniffBytes = 64 << 10;    // of a file, to tell text from binary
constexpr size_t kDocumentBytes = 1 << 30;  // of a compressed document, which is held in memory
constexpr std::string_view kUtf8Mark = "\xEF\xBB\xBF";

bool is_zstd(const fs::path& file) {
  return file.extension() == ".zst";
}

bool is_jsonl(const DatasetSpec& dataset, const fs::path& file) {
  if (dataset.type != "auto") return dataset.type == "jsonl";
  const fs::path kind = (is_zstd(file) ? file.stem() : file).extension();
  return kind == ".jsonl" || kind == ".ndjson";
}

// Of compressed files a directory gives those that say what they hold.
bool is_named_text(const fs::path& file) {
  const fs::path kind = file.stem().extension();
  return is_zstd(file) && (kind == ".txt" || kind == ".jsonl" || kind == ".ndjson");
}

bool is_build_folder(const std::string& name) {
  static const char* const kNames[] = {"build",  "node_modules", "__pycache__",
                                       "target", "venv",         "dist"};
  return name.starts_with("build-") ||
         std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

// No NUL, and valid UTF-8 but for a character cut at the end of the sample.
bool looks_like_text(const fs::path& path) {
  const auto file = MappedFile::open(path, /*input=*/true);
  if (!file.ok() || (*file)->bytes().empty()) return false;
  std::string_view sample = as_text((*file)->bytes());
  const bool cut = sample.size() > kSniffBytes;
  sample = sample.substr(0, kSniffBytes);
  if (sample.find('\0') != sample.npos) return false;
  for (size_t drop = 0; drop <= (cut ? 3u : 0u); ++drop) {
    if (simdjson::validate_utf8(sample.data(), sample.size() - drop)) return true;
  }
  return false;
}

Status add_file(const DatasetSpec& dataset,
                const fs::path& path,
                bool sft,
                std::vector<SourceFile>& sources) {
  if (sources.size() >= kFiles) {
    return invalid(dataset.path + ": more than " + std::to_string(kFiles) + " files",
                   "put the documents into JSONL files");
  }
  SourceFile source{path, is_jsonl(dataset, path), dataset.field};
  if (sft) source.chat = std::make_shared<const DatasetSpec>(dataset);
  source.jsonl |= sft;
  sources.push_back(std::move(source));
  return ok_status();
}

Status add_directory(const DatasetSpec& dataset,
                     const fs::path& directory,
                     bool sft,
                     std::vector<SourceFile>& sources) {
  std::vector<fs::path> files;
  std::error_code failed;
  fs::recursive_directory_iterator it(directory, failed), end;
  for (; !failed && it != end; it.increment(failed)) {
    const std::string name = it->path().filename().string();
    const bool folder = it->is_directory() && !it->is_symlink();
    if (folder && (name.starts_with('.') || is_build_folder(name))) it.disable_recursion_pending();
    if (name.starts_with('.') || it->is_symlink() || !it->is_regular_file()) continue;
    if (is_named_text(it->path()) || looks_like_text(it->path())) files.push_back(it->path());
    if (files.size() > kFiles) break;  // add_file names the limit
  }
  if (failed) return invalid(directory.string() + ": cannot list: " + failed.message());
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) TRY(add_file(dataset, file, sft, sources));
  return ok_status();
}

Status add_path(const DatasetSpec& dataset,
                const fs::path& path,
                bool sft,
                std::vector<SourceFile>& sources) {
  std::error_code failed;
  if (fs::is_directory(path, failed)) return add_directory(dataset, path, sft, sources);
  if (!fs::is_regular_file(path, failed)) {
    return invalid(path.string() + (fs::exists(path, failed) ? ": neither a file nor a directory"
                                                             : ": no such file or directory"),
                   "datasets[].path is a file, a glob or a directory");
  }
  return add_file(dataset, path, sft, sources);
}

Status add_glob(const DatasetSpec& dataset, bool sft, std::vector<SourceFile>& sources) {
  const auto paths = TRY(expand_glob(dataset.path, kFiles));
  if (paths.empty()) return invalid(dataset.path + ": no file matches");
  for (const fs::path& path : paths) TRY(add_path(dataset, path, sft, sources));
  return ok_status();
}

// The text of one JSONL record. The buffer is kept between calls, with simdjson's padding.
class RecordReader {
 public:
  explicit RecordReader(const std::string& field) : field_(field) {}

  Result<std::string_view> text_of(std::string_view line) {
    if (line.size() > static_cast<size_t>(limits::kJsonLineBytes))
      return invalid("line is too long");
    buffer_.assign(line);
    buffer_.reserve(line.size() + simdjson::SIMDJSON_PADDING);
    dom::element record;
    auto failed = parser_.allocate(std::max<size_t>(line.size(), 1024), limits::kJsonLineDepth);
    if (failed == simdjson::SUCCESS) {
      failed = parser_.parse(buffer_.data(), line.size(), false).get(record);
    }
    if (failed != simdjson::SUCCESS) {
      return invalid(std::string("not valid JSON: ") + simdjson::error_message(failed));
    }
    dom::object object;
    if (record.get(object) != simdjson::SUCCESS) return invalid("not a JSON object");
    dom::element value;
    if (object.at_key(field_).get(value) != simdjson::SUCCESS) {
      return invalid("no field \"" + field_ + "\"" + fields_of(object), "set datasets[].field");
    }
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) return invalid("\"" + field_ + "\" is not a string");
    return text;
  }

 private:
  static std::string fields_of(dom::object object) {
    std::string names;
    for (const auto [key, value] : object) {
      if (names.size() > 100) break;
      names += (names.empty() ? "; it has " : ", ") + std::string(key.substr(0, 40));
    }
    return names;
  }

  const std::string& field_;
  std::string buffer_;
  dom::parser parser_;
};

// Lines of JSONL that may come in pieces; counts them for messages.
class LineWalk {
 public:
  explicit LineWalk(const RecordFn& record) : record_(record) {}

  Status lines(std::string_view jsonl) {
    if (number_ == 0 && jsonl.starts_with(kUtf8Mark)) jsonl.remove_prefix(kUtf8Mark.size());
    while (!jsonl.empty()) {
      const size_t end = std::min(jsonl.find('\n'), jsonl.size());
      const std::string_view line = jsonl.substr(0, end);
      jsonl.remove_prefix(std::min(end + 1, jsonl.size()));
      ++number_;
      if (line.find_first_not_of(" \t\r") != line.npos) TRY(record_(line, number_));
    }
    return ok_status();
  }

 private:
  const RecordFn& record_;
  int64_t number_ = 0;
};

// Takes the text out of each record.
RecordFn text_records(std::string_view name, RecordReader& reader, const DocumentFn& document) {
  return [=, &reader, &document](std::string_view line, int64_t number) -> Status {
    const auto text = reader.text_of(line);
    if (!text.ok()) {
      const Error& error = text.error();
      return Error{error.code, at_line(name, number, error.message), error.hint};
    }
    return text->empty() ? ok_status() : document(*text);
  };
}

Status whole_document(std::string_view text, const fs::path& path, const DocumentFn& document) {
  if (text.starts_with(kUtf8Mark)) text.remove_prefix(kUtf8Mark.size());
  if (text.empty()) return ok_status();
  if (text.substr(0, kSniffBytes).find('\0') != text.npos) {
    return invalid(path.string() + ": is not a text file",
                   "give text or JSONL files; a directory passes binaries over");
  }
  return document(text);
}

Status for_each_compressed_line(const fs::path& file, const RecordFn& record) {
  auto reader = TRY(ZstdReader::open(file));
  LineWalk walk(record);
  std::string text;  // what follows the last whole line
  while (TRY(reader.read(text))) {
    const size_t whole = text.rfind('\n') + 1;  // npos + 1 is 0
    TRY(walk.lines(std::string_view(text).substr(0, whole)));
    text.erase(0, whole);
    if (text.size() > static_cast<size_t>(limits::kJsonLineBytes)) {
      return invalid(file.string() + ": line is too long");
    }
  }
  return walk.lines(text);
}

Status whole_compressed(const fs::path& file, const DocumentFn& document) {
  auto reader = TRY(ZstdReader::open(file));
  std::string text;
  while (TRY(reader.read(text))) {
    if (text.size() > kDocumentBytes) return invalid(file.string() + ": more than 1 GiB of text");
  }
  return whole_document(text, file, document);
}

}  // namespace

Result<std::vector<SourceFile>> list_sources(const std::vector<DatasetSpec>& datasets,
                                             const std::string& method) {
  const bool sft = method == "sft";
  std::vector<SourceFile> sources;
  for (const DatasetSpec& dataset : datasets) {
    const size_t before = sources.size();
    std::error_code failed;
    // A file whose name holds a '[' is meant before a pattern is.
    const bool glob =
        dataset.path.find_first_of("*?[") != std::string::npos && !fs::exists(dataset.path, failed);
    TRY(glob ? add_glob(dataset, sft, sources) : add_path(dataset, dataset.path, sft, sources));
    if (sources.size() == before) return invalid(dataset.path + ": holds no text file");
  }
  return sources;
}

std::string at_line(std::string_view name, int64_t line, std::string_view message) {
  return std::string(name) + ":" + std::to_string(line) + ": " + std::string(message);
}

Status for_each_line_document(std::string_view jsonl,
                              std::string_view name,
                              const std::string& field,
                              const DocumentFn& document) {
  RecordReader reader(field);
  const RecordFn record = text_records(name, reader, document);
  return LineWalk(record).lines(jsonl);
}

Status for_each_record(const SourceFile& source, const RecordFn& record) {
  if (is_zstd(source.path)) return for_each_compressed_line(source.path, record);
  const auto file = TRY(MappedFile::open(source.path, /*input=*/true));
  return LineWalk(record).lines(as_text(file->bytes()));
}

Status for_each_document(const SourceFile& source, const DocumentFn& document) {
  if (source.jsonl) {
    const std::string name = source.path.string();
    RecordReader reader(source.field);
    return for_each_record(source, text_records(name, reader, document));
  }
  if (is_zstd(source.path)) return whole_compressed(source.path, document);
  const auto file = TRY(MappedFile::open(source.path, /*input=*/true));
  return whole_document(as_text(file->bytes()), source.path, document);
}

}  // namespace llmctl
