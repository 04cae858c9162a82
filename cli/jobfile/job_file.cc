#include "cli/jobfile/job_file.h"

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "cli/jobfile/job_overrides.h"
#include "cli/jobfile/job_paths.h"
#include "cli/jobfile/job_yaml.h"
#include "core/base/limits.h"
#include "core/base/read_small_file.h"

namespace llmctl {

namespace fs = std::filesystem;

bool LoadedJob::ok() const {
  return std::all_of(diagnostics.begin(), diagnostics.end(),
                     [](const Diagnostic& d) { return d.warning; });
}

std::string LoadedJob::text() const {
  std::string lines;
  for (const Diagnostic& diagnostic : diagnostics) lines += to_string(diagnostic, file) + "\n";
  return lines;
}

// One byte more than allowed is read, so that parse_yaml sees that it is too long.
static std::string read_standard_input() {
  std::string text(limits::kJobFileBytes + 1, '\0');
  std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::cin.gcount()));
  return text;
}

static Result<std::string> read_source(const std::string& path) {
  if (path == "-") return read_standard_input();
  Result<std::string> text = read_small_file(path, limits::kJobFileBytes);
  if (text.ok()) return text;
  Error error = text.error();
  error.hint = error.code == Code::not_found ? "write a job file, or start from one in examples/"
                                             : "name a job file; - is standard input";
  return error;
}

// "runs/my job.yaml" -> "my-job".
static std::string name_from(const std::string& path) {
  std::string name = path == "-" ? "job" : fs::path(path).stem().string();
  for (char& c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool other = (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    if (!letter && !other) c = '-';
  }
  name = name.substr(0, limits::kNameBytes);
  return name.empty() ? "job" : name;
}

static void read_fields(Node& root, const std::string& path, LoadedJob& job) {
  const fs::path folder = path == "-" ? fs::path() : fs::path(path).parent_path();
  std::error_code ignored;
  job.diagnostics = settle_paths(root, fs::absolute(folder / ".", ignored));
  ParsedJob parsed = parse_job(root);
  job.origin = origins(parsed);
  job.spec = std::move(parsed.spec);
  if (job.origin["name"] == "default") job.spec.name = name_from(path);
  // Warnings are for a job that could run; parse_job has kept none beside its own errors.
  const bool broken = !job.diagnostics.empty();
  if (broken) std::erase_if(parsed.diagnostics, [](const Diagnostic& d) { return d.warning; });
  job.diagnostics.insert(job.diagnostics.end(), parsed.diagnostics.begin(),
                         parsed.diagnostics.end());
  std::stable_sort(job.diagnostics.begin(), job.diagnostics.end(),
                   [](const Diagnostic& a, const Diagnostic& b) {
                     return std::pair(a.line, a.column) < std::pair(b.line, b.column);
                   });
}

Result<LoadedJob> load_job(const std::string& path, const std::vector<std::string>& overrides) {
  const std::string text = TRY(read_source(path));
  LoadedJob job;
  job.file = path == "-" ? "<stdin>" : path;
  YamlDocument document = parse_yaml(text);
  job.diagnostics = std::move(document.diagnostics);
  if (!job.diagnostics.empty()) return job;
  TRY(apply_overrides(document.root, overrides));
  read_fields(document.root, path, job);
  return job;
}

}  // namespace llmctl
