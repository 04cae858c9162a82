// The documents of a job's datasets, in one fixed order: datasets as written, files of a glob or a
// directory by path, records by line. Files are mapped and read front to back, so a data set may be
// larger than memory; of .zst files the JSONL is read in pieces. Hostile input: a bad line is
// invalid_argument and named "file:line: ...".
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/job/job_spec.h"

namespace llmctl {

struct SourceFile {
  std::filesystem::path path;
  bool jsonl = false;
  std::string field;  // jsonl: the string member that holds the text
  std::shared_ptr<const DatasetSpec> chat = nullptr;  // sft: how its records are read
};

// A file is taken as it is; a glob as the shell means it, with **; a directory recursively, text
// files only: hidden entries, symbolic links, build folders and binary files are passed over.
// `auto` takes .jsonl and .ndjson as JSONL and the rest as text, one document per file. Any of them
// may be compressed and have .zst after its name. For `method` sft every file is JSONL of records.
Result<std::vector<SourceFile>> list_sources(const std::vector<DatasetSpec>& datasets,
                                             const std::string& method = "pretrain");

// Calls `document` for each non-empty document of one file; its error ends the walk.
using DocumentFn = std::function<Status(std::string_view text)>;
Status for_each_document(const SourceFile& source, const DocumentFn& document);
// The same over text that is already there; `name` stands for the file in errors.
Status for_each_line_document(std::string_view jsonl,
                              std::string_view name,
                              const std::string& field,
                              const DocumentFn& document);

// Calls `record` for each line of a JSONL source that is not blank; lines count from 1.
using RecordFn = std::function<Status(std::string_view json, int64_t line)>;
Status for_each_record(const SourceFile& source, const RecordFn& record);

// "name:line: message".
std::string at_line(std::string_view name, int64_t line, std::string_view message);

}  // namespace llmctl
