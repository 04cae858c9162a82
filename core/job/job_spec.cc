// parse_job: the blocks of a job file, each read by its table; then the cross-field checks.
#include "core/job/job_spec.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/base/suggest.h"
#include "core/fields/block_reader.h"
#include "core/job/job_checks.h"
#include "core/job/job_environment.h"
#include "core/job/job_fields.h"

namespace llmctl {

// Everything a block needs while it is read.
struct Reading {
  Problems problems;
  Places places;

  void error(const std::string& field, std::string message) {
    problems.error(places[field], std::move(message));
  }
};

static const Field& field_of(const FieldTable& table, std::string_view name) {
  for (const Field& field : table) {
    if (name == field.name) return field;
  }
  CHECK(false && "no such field");
}

static void read_block(const Node& node,
                       const std::string& name,
                       const FieldTable& table,
                       Reading& r) {
  BlockReader block(node, name + ".", r.problems, r.places);
  block.read_all(table);
  block.refuse_unknown(table);
}

static const Preset* preset_of(std::string_view name) {
  for (const Preset& preset : presets()) {
    if (name == preset.name) return &preset;
  }
  return nullptr;
}

static std::string no_such_preset(const Node& node) {
  std::vector<std::string_view> names;
  std::string list;
  for (const Preset& preset : presets()) {
    names.emplace_back(preset.name);
    list += (list.empty() ? "" : ", ") + std::string(preset.name);
  }
  const std::string hint = did_you_mean(node.text, names);
  return shown(node) + " is neither a preset nor a directory with a config.json" +
         (hint.empty() ? "; presets: " + list : hint);
}

static void read_model(const Node& node, ModelSpec& model, Reading& r) {
  if (node.kind == Node::Kind::scalar) {
    const Preset* preset = preset_of(node.text);
    if (preset == nullptr) return r.error("model", no_such_preset(node));
    model.preset = preset->name;
    model.config = preset->config;
    return;
  }
  if (node.kind != Node::Kind::map) {
    return r.error("model", "expected a preset, a directory or a mapping, got " + shown(node));
  }
  const FieldTable table = model_fields(model);
  BlockReader block(node, "model.", r.problems, r.places);
  const Node* name = block.take(field_of(table, "preset"));
  if (name != nullptr && !(name->kind == Node::Kind::scalar && name->text.empty())) {
    const Preset* preset = preset_of(name->text);
    if (preset == nullptr) {
      return r.error("model.preset", no_such_preset(*name));
    }
    model.config = preset->config;
  }
  const Field& architecture = field_of(table, "architecture");
  const Node* family = block.take(architecture);
  const std::string before = model.config.architecture;
  if (family != nullptr && !read_value(architecture, *family) &&
      model.config.architecture != before) {
    set_family(model.config, model.config.architecture);
  }
  block.read_all(table);
  block.refuse_unknown(table);
  for (const char* required : {"hidden_size", "num_hidden_layers", "num_attention_heads"}) {
    const bool missing = *std::get<int64_t*>(field_of(table, required).slot) == 0;
    if (!missing || r.places.contains(std::string("model.") + required)) continue;
    r.error("model", std::string(required) + " is missing");
  }
}

static void read_dataset(const Node& node,
                         const std::string& name,
                         DatasetSpec& dataset,
                         Reading& r) {
  r.places[name] = place_of(node, name);
  if (node.kind == Node::Kind::map) {
    read_block(node, name, dataset_fields(dataset), r);
    if (!r.places.contains(name + ".path")) r.error(name, "path is missing");
    return;
  }
  if (node.kind != Node::Kind::scalar) {
    return r.error(name, "expected a path or a mapping, got " + shown(node));
  }
  const FieldTable table = dataset_fields(dataset);
  if (auto problem = read_value(field_of(table, "path"), node)) r.error(name, *problem);
}

static void read_datasets(const Node& node, std::vector<DatasetSpec>& datasets, Reading& r) {
  if (node.kind == Node::Kind::scalar || node.kind == Node::Kind::map) {
    return read_dataset(node, "datasets[0]", datasets.emplace_back(), r);
  }
  if (node.kind == Node::Kind::null || node.items.empty()) {
    return r.error("datasets", "expected at least one path");
  }
  if (node.items.size() > limits::kDatasets) {
    return r.error("datasets", "more than " + std::to_string(limits::kDatasets) +
                                   " entries; use a glob or a directory");
  }
  for (const Node& item : node.items) {
    const std::string name = "datasets[" + std::to_string(datasets.size()) + "]";
    read_dataset(item, name, datasets.emplace_back(), r);
  }
}

static void read_tokenizer_text(const Node& node, TokenizerSpec& tokenizer, Reading& r) {
  if (node.text == "bytes") return;
  if (node.text == "train") {
    return r.error("tokenizer", "needs a size; write tokenizer: {train: {vocab_size: 4096}}");
  }
  const std::vector<std::string_view> known = {"bytes", "train"};
  if (node.text.find('/') == std::string::npos && !node.text.ends_with(".json")) {
    return r.error("tokenizer",
                   "expected bytes, a tokenizer.json, or {train: {vocab_size: N}}, got " +
                       shown(node) + did_you_mean(node.text, known));
  }
  tokenizer = {TokenizerSpec::Kind::file, node.text, 0};
}

static void read_tokenizer(const Node& node, TokenizerSpec& tokenizer, Reading& r) {
  if (node.kind == Node::Kind::scalar) return read_tokenizer_text(node, tokenizer, r);
  if (node.kind != Node::Kind::map) {
    return r.error(
        "tokenizer",
        "expected bytes, a tokenizer.json, or {train: {vocab_size: N}}, got " + shown(node));
  }
  tokenizer.vocab_size = 0;
  const FieldTable table = tokenizer_fields(tokenizer);
  BlockReader block(node, "tokenizer.", r.problems, r.places);
  const Node* train = block.take(field_of(table, "train"));
  block.read_all(table);
  block.refuse_unknown(table);
  tokenizer.kind = train != nullptr ? TokenizerSpec::Kind::train : TokenizerSpec::Kind::file;
  if (train == nullptr && tokenizer.path.empty() && !r.places.contains("tokenizer.path")) {
    return r.error("tokenizer", "path or train is missing");
  }
  if (train == nullptr) return;
  if (!tokenizer.path.empty()) return r.error("tokenizer", "give either path or train");
  read_block(*train, "tokenizer.train", tokenizer_train_fields(tokenizer), r);
  if (!r.places.contains("tokenizer.train.vocab_size")) {
    r.error("tokenizer.train", "vocab_size is missing");
  }
}

static bool is_env_name(std::string_view name) {
  const auto ok = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
         std::all_of(name.begin(), name.end(), ok);
}

static std::string name_problem(const std::string& block, const std::string& name) {
  if (name.empty() || name.size() > limits::kNameBytes) {
    return "expected a name of 1 to " + std::to_string(limits::kNameBytes) + " bytes";
  }
  if (block == "env" && !is_env_name(name)) return "expected letters, digits and '_' only";
  if (block == "env" && !job_may_set(name)) {
    return "a job may not set this variable; docs/JOB_FILE.md lists those it may, and JOB_* are "
           "free";
  }
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::any_of(name.begin(), name.end(), control)) return "expected no control characters";
  return "";
}

static void read_strings(const Node& node,
                         const std::string& name,
                         std::map<std::string, std::string>& values,
                         Reading& r) {
  if (node.kind != Node::Kind::map) return r.error(name, "expected a mapping, got " + shown(node));
  if (node.entries.size() > limits::kLabels) {
    return r.error(name, "more than " + std::to_string(limits::kLabels) + " entries");
  }
  for (const auto& [key, value] : node.entries) {
    std::string text_value;
    const Field field{"value", "", &text_value, text(0, 4'096), ""};
    const Place place =
        place_of(value, name + "." + (key.kind == Node::Kind::scalar ? key.text : "?"));
    if (auto problem = name_problem(name, key.text); !problem.empty()) {
      Node quoted = key;
      quoted.quoted = true;
      r.problems.error(place_of(key, name), shown(quoted) + ": " + problem);
    } else if (auto wrong = read_value(field, value)) {
      r.problems.error(place, *wrong);
    } else if (!values.emplace(key.text, text_value).second) {
      r.problems.error(place, "given twice");
    }
  }
}

// Fields of other tools that say with another value what llmctl says with another field.
static void explain_foreign_fields(BlockReader& top, Reading& r) {
  constexpr std::pair<const char*, const char*> kForeign[] = {
      {"bf16", "write precision: bf16"},
      {"fp16", "write precision: fp16"},
      {"gpus", "write resources: {ranks: N}"},
      {"num_gpus", "write resources: {ranks: N}"},
      {"sweep", "sweeps are not supported yet; submit one file per value"},
      {"adapter", "adapters are not supported yet; every method trains all weights"},
  };
  for (const auto& [name, advice] : kForeign) {
    if (top.take({name, "", {}, block(), ""}) != nullptr) r.error(name, advice);
  }
}

static void read_blocks(BlockReader& top, const FieldTable& table, JobSpec& spec, Reading& r) {
  const auto value_of = [&](const char* name) { return top.take(field_of(table, name)); };
  if (const Node* model = value_of("model")) {
    read_model(*model, spec.model, r);
  } else {
    r.problems.error({0, 0, "model"}, "missing: give a preset, a directory or a mapping");
  }
  if (const Node* datasets = value_of("datasets")) {
    read_datasets(*datasets, spec.datasets, r);
  } else {
    r.problems.error({0, 0, "datasets"}, "missing: give a path or a list of paths");
  }
  if (const Node* tokenizer = value_of("tokenizer")) read_tokenizer(*tokenizer, spec.tokenizer, r);
  if (const Node* block = value_of("resources")) {
    read_block(*block, "resources", resource_fields(spec.resources), r);
  }
  if (const Node* block = value_of("retry")) {
    read_block(*block, "retry", retry_fields(spec.retry), r);
  }
  if (const Node* labels = value_of("labels")) read_strings(*labels, "labels", spec.labels, r);
  if (const Node* env = value_of("env")) read_strings(*env, "env", spec.env, r);
}

ParsedJob parse_job(const Node& root) {
  ParsedJob parsed;
  if (root.kind != Node::Kind::map) {
    parsed.diagnostics = {{root.line, root.column, "", "expected a mapping, got " + shown(root)}};
    return parsed;
  }
  JobDraft draft;
  Reading reading;
  const FieldTable table = job_fields(draft);
  BlockReader top(root, "", reading.problems, reading.places);
  top.read_all(table);
  read_blocks(top, table, draft.spec, reading);
  explain_foreign_fields(top, reading);
  top.refuse_unknown(table);
  if (draft.spec.name.empty() && !reading.places.contains("name")) draft.spec.name = "job";
  settle_and_check(draft, reading.places, reading.problems);
  parsed.spec = std::move(draft.spec);
  parsed.places = std::move(reading.places);
  parsed.diagnostics = std::move(reading.problems).in_file_order();
  return parsed;
}

std::map<std::string, std::string> origins(const ParsedJob& job) {
  std::map<std::string, std::string> origin;
  const auto note = [&](const FieldTable& table, const std::string& block, const char* otherwise) {
    for (const Field& field : table) {
      const std::string name = block + field.name;
      const auto place = job.places.find(name);
      const bool absent = place == job.places.end();
      origin[name] = absent ? otherwise : place->second.borrowed ? "config" : "given";
    }
  };
  JobDraft draft{job.spec, std::nullopt};  // tables are bound to objects that they may write
  ModelSpec& model = draft.spec.model;
  note(job_fields(draft), "", "default");
  note(model_fields(model), "model.", model.preset.empty() ? "default" : "preset");
  note(resource_fields(draft.spec.resources), "resources.", "default");
  note(retry_fields(draft.spec.retry), "retry.", "default");
  if (!model.preset.empty()) origin["model.preset"] = "given";
  if (!model.path.empty()) origin["model.path"] = "given";
  return origin;
}

bool ParsedJob::ok() const {
  return std::all_of(diagnostics.begin(), diagnostics.end(),
                     [](const Diagnostic& d) { return d.warning; });
}

std::string to_string(const Diagnostic& d, std::string_view file) {
  std::string text(file);
  if (d.line > 0) text += ":" + std::to_string(d.line) + ":" + std::to_string(d.column);
  text += ": ";
  if (d.warning) text += "warning: ";
  return text + (d.field.empty() ? "" : d.field + ": ") + d.message;
}

}  // namespace llmctl
