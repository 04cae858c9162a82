#include "cli/jobfile/job_paths.h"

#include <glob.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/jobfile/tokenizer_size.h"
#include "core/base/json_reader.h"
#include "core/base/limits.h"
#include "core/base/read_small_file.h"
#include "core/job/job_fields.h"

namespace llmctl {

namespace fs = std::filesystem;

namespace {

struct Settling {
  const fs::path& base;
  std::vector<Diagnostic> diagnostics;

  fs::path absolute(const std::string& path) const { return (base / path).lexically_normal(); }
  void error(const Node& at, const std::string& field, const std::string& message) {
    diagnostics.push_back({at.line, at.column, field, message, false});
  }
};

Node scalar(const std::string& text, const Node& at) {
  Node node;
  node.kind = Node::Kind::scalar;
  node.text = text;
  node.quoted = true;
  node.line = at.line;
  node.column = at.column;
  return node;
}

// The value of a field under any of its names; the first one when it is written twice.
Node* value_of(Node& map, const FieldTable& table, std::string_view name) {
  for (const Field& field : table) {
    if (name != field.name) continue;
    for (auto& [key, value] : map.entries) {
      if (key.kind == Node::Kind::scalar && answers_to(field, key.text)) return &value;
    }
  }
  return nullptr;
}

bool is_path(const Node* node) {
  return node != nullptr && node->kind == Node::Kind::scalar && !node->text.empty() &&
         node->text.size() < 4'096 && node->text.find('\0') == std::string::npos;
}

Result<nlohmann::json> read_json(const fs::path& file) {
  constexpr Bytes kMost = 1 << 20;  // real ones have a few KiB
  return parse_json(TRY(read_small_file(file, kMost)), file.string());
}

bool is_checkpoint(const fs::path& directory) {
  std::error_code ignored;
  return fs::exists(directory / "manifest.json", ignored);
}

// A Hugging Face directory says it in config.json, a checkpoint in the job that made it.
Result<ModelConfig> read_config(const fs::path& directory) {
  if (!is_checkpoint(directory)) return parse_hf_config(TRY(read_json(directory / "config.json")));
  const fs::path state = directory / "state.json";
  const nlohmann::json document = TRY(read_json(state));
  if (!document.is_object() || !document.contains("spec")) {
    return Error{Code::invalid_argument, state.string() + " names no job", ""};
  }
  return TRY(parse_spec_json(dump_json(document["spec"]))).model.config;
}

// The directory's config as fields of the model block; fields written beside `path` win. When it
// cannot be used, any preset stands in, so that the rest of the job is checked without it.
void lay_config(Node& model, const Node& at, const fs::path& directory, Settling& s) {
  Result<ModelConfig> config = read_config(directory);
  if (!config.ok()) {
    s.error(at, "model", config.error().message);
    model = scalar(presets().front().name, at);
    return;
  }
  ModelSpec read;
  read.config = *config;
  for (const Field& field : model_fields(read)) {
    const std::string_view name = field.name;
    if (name == "preset" || name == "path") continue;
    if (value_of(model, {field}, name) != nullptr) continue;
    const nlohmann::json json = value_json(field);
    Node value = scalar(dump_json(json), at);
    value.quoted = field.rule.type == Rule::Type::choice;
    if (value.quoted) value.text = json.get<std::string>();
    if (field.rule.type == Rule::Type::numbers) value.kind = Node::Kind::list;
    for (const nlohmann::json& number : json.is_array() ? json : nlohmann::json::array()) {
      value.items.push_back(scalar(dump_json(number), at));
      value.items.back().quoted = false;
    }
    value.borrowed = true;
    model.entries.push_back({scalar(field.name, at), std::move(value)});
  }
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

void settle_model(Node& model, Settling& s) {
  if (is_path(&model)) {
    for (const Preset& preset : presets()) {
      if (model.text == preset.name) return;
    }
    const fs::path directory = s.absolute(model.text);
    if (!is_folder(directory)) return;  // parse_job knows what to say
    const Node at = model;
    model = Node{};
    model.kind = Node::Kind::map;
    model.line = at.line;
    model.column = at.column;
    model.entries.push_back({scalar("path", at), scalar(directory.string(), at)});
    return lay_config(model, at, directory, s);
  }
  ModelSpec unused;
  Node* path = value_of(model, model_fields(unused), "path");
  if (!is_path(path)) return;
  const Node at = *path;
  const fs::path directory = s.absolute(at.text);
  *path = scalar(directory.string(), at);
  lay_config(model, at, directory, s);
}

void settle_tokenizer(Node& tokenizer, Settling& s) {
  TokenizerSpec unused;
  const bool map = tokenizer.kind == Node::Kind::map;
  const Node* path = map ? value_of(tokenizer, tokenizer_fields(unused), "path") : &tokenizer;
  if (!is_path(path) || (!map && (path->text == "bytes" || path->text == "train"))) return;
  const Node at = *path;
  fs::path file = s.absolute(at.text);
  if (is_folder(file)) file /= "tokenizer.json";
  std::error_code ignored;
  const bool meant = map || at.text.find('/') != std::string::npos || at.text.ends_with(".json");
  if (!fs::exists(file, ignored) && !meant) return;  // parse_job knows what to say
  const Result<int64_t> size = tokenizer_vocab_size(file.string());
  if (!size.ok()) s.error(at, "tokenizer", size.error().message);
  Node settled;
  settled.kind = Node::Kind::map;
  settled.line = at.line;
  settled.column = at.column;
  settled.entries.push_back({scalar("path", at), scalar(file.string(), at)});
  Node count = scalar(std::to_string(size.ok() ? *size : kByteVocabSize), at);
  count.quoted = false;
  settled.entries.push_back({scalar("vocab_size", at), std::move(count)});
  if (map) {  // what else was written must still be seen
    for (auto& entry : tokenizer.entries) {
      const std::string& key = entry.key.text;
      if (key != "path" && key != "vocab_size") settled.entries.push_back(std::move(entry));
    }
  }
  tokenizer = std::move(settled);
}

// What lies in the model's directory, or beside a job's checkpoints, when the job names none.
void add_tokenizer(Node& root, Node model, Settling& s) {
  ModelSpec unused;
  const bool map = model.kind == Node::Kind::map;
  const Node* path = map ? value_of(model, model_fields(unused), "path") : nullptr;
  if (!is_path(path)) return;
  const fs::path directory = path->text;
  const fs::path folder = is_checkpoint(directory) ? directory / "../.." : directory;
  const fs::path file = (folder / "tokenizer.json").lexically_normal();
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return;
  Node tokenizer = scalar(file.string(), model);
  settle_tokenizer(tokenizer, s);
  tokenizer.borrowed = true;
  root.entries.push_back({scalar("tokenizer", model), std::move(tokenizer)});
}

// What a dataset's path may name; else why not.
std::string problem_of(const std::string& path) {
  std::error_code failed;
  const fs::file_status status = fs::status(path, failed);
  if (fs::is_regular_file(status) || fs::is_directory(status)) return "";
  if (status.type() == fs::file_type::not_found) return "there is no file or directory " + path;
  if (failed) return path + ": " + failed.message();
  return path + " is neither a file nor a directory";
}

// As the trainer: it refuses a pattern of which one match is no file.
std::string problem_of_pattern(const std::string& pattern) {
  std::string problem = "no file matches " + pattern;
  if (const size_t stars = pattern.find("**"); stars != std::string::npos) {
    // May be a large tree: here only its root is looked at, the trainer walks it.
    const size_t wild = std::min(stars, pattern.find_first_of("*?["));
    std::error_code ignored;
    const bool root = fs::is_directory(fs::path(pattern.substr(0, wild)).parent_path(), ignored);
    return root ? "" : problem;
  }
  glob_t found{};
  if (glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0) {
    problem.clear();
    for (size_t i = 0; problem.empty() && i < found.gl_pathc; ++i) {
      problem = problem_of(found.gl_pathv[i]);
    }
  }
  globfree(&found);
  return problem;
}

void settle_dataset(Node& dataset, const std::string& name, Settling& s) {
  DatasetSpec unused;
  const bool map = dataset.kind == Node::Kind::map;
  Node* path = map ? value_of(dataset, dataset_fields(unused), "path") : &dataset;
  if (!is_path(path)) return;
  const Node at = *path;
  *path = scalar(s.absolute(at.text).string(), at);
  // A file whose name holds a '[' is meant before a pattern is.
  std::string problem = problem_of(path->text);
  std::error_code ignored;
  const bool pattern = path->text.find_first_of("*?[") != std::string::npos;
  if (pattern && !fs::exists(path->text, ignored)) problem = problem_of_pattern(path->text);
  if (!problem.empty()) s.error(at, map ? name + ".path" : name, problem);
}

void settle_datasets(Node& datasets, Settling& s) {
  if (datasets.kind != Node::Kind::list) return settle_dataset(datasets, "datasets[0]", s);
  if (datasets.items.size() > limits::kDatasets) return;
  for (size_t i = 0; i < datasets.items.size(); ++i) {
    settle_dataset(datasets.items[i], "datasets[" + std::to_string(i) + "]", s);
  }
}

void settle_chat_template(Node& chat_template, Settling& s) {
  if (!is_path(&chat_template)) return;
  const std::string& text = chat_template.text;
  if (text.find('/') == std::string::npos && !text.ends_with(".jinja")) return;  // a name
  const fs::path file = s.absolute(text);
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) {
    s.error(chat_template, "chat_template", "there is no file " + file.string());
  }
  chat_template = scalar(file.string(), chat_template);
}

}  // namespace

std::vector<Diagnostic> settle_paths(Node& root, const fs::path& base) {
  Settling settling{base, {}};
  JobDraft unused;
  const FieldTable table = job_fields(unused);
  if (Node* model = value_of(root, table, "model")) settle_model(*model, settling);
  if (Node* tokenizer = value_of(root, table, "tokenizer")) {
    settle_tokenizer(*tokenizer, settling);
  } else if (Node* model = value_of(root, table, "model")) {
    add_tokenizer(root, Node(*model), settling);  // a copy: the new field moves the others
  }
  if (Node* datasets = value_of(root, table, "datasets")) settle_datasets(*datasets, settling);
  if (Node* chat = value_of(root, table, "chat_template")) settle_chat_template(*chat, settling);
  return std::move(settling.diagnostics);
}

}  // namespace llmctl
