// What is generated from the field tables: help, docs/JOB_FILE.md and the JSON Schema.
#include <nlohmann/json.hpp>

#include "core/job/job_environment.h"
#include "core/job/job_fields.h"

namespace llmctl {

using nlohmann::json;

// Fresh objects with their defaults, and the tables bound to them.
struct Defaults {
  JobDraft job;
  ModelSpec model;
  DatasetSpec dataset;
  TokenizerSpec tokenizer;
  ResourceSpec resources;
  RetrySpec retry;
};

struct Section {
  const char* name;
  const char* intro;
  FieldTable table;
};

static std::vector<Section> sections(Defaults& d) {
  return {
      {"model",
       "`model:` is a preset's name, a directory (a Hugging Face one or a checkpoint), or a "
       "mapping of "
       "these.",
       model_fields(d.model)},
      {"datasets", "An entry of `datasets:` is a path, or a mapping of these.",
       dataset_fields(d.dataset)},
      {"tokenizer", "`tokenizer:` is `bytes`, a path, or a mapping of these.",
       tokenizer_fields(d.tokenizer)},
      {"tokenizer.train", "", tokenizer_train_fields(d.tokenizer)},
      {"resources", "", resource_fields(d.resources)},
      {"retry", "", retry_fields(d.retry)},
  };
}

static std::string default_text(const Field& field) {
  if (field.rule.type == Rule::Type::block) return "";
  const std::string text = value_text(field);
  return text.empty() ? "" : "`" + text + "`";
}

static std::string table_markdown(const FieldTable& table) {
  std::string text = "| field | value | default | meaning |\n|---|---|---|---|\n";
  for (const Field& field : table) {
    text += "| `" + std::string(field.name) + "` | ";
    text += (field.rule.type == Rule::Type::block ? "see below" : expectation(field)) + " | ";
    text += default_text(field) + " | " + field.help;
    std::string aliases;
    for (std::string_view alias : words(field.aliases)) {
      aliases += (aliases.empty() ? "`" : ", `") + std::string(alias) + "`";
    }
    if (!aliases.empty()) text += " Also: " + aliases + ".";
    text += " |\n";
  }
  return text;
}

static std::string presets_markdown() {
  std::string text = "| preset | shape |\n|---|---|\n";
  for (const Preset& preset : presets()) {
    text += "| `" + std::string(preset.name) + "` | " + preset.summary + " |\n";
  }
  return text;
}

static constexpr const char* kIntro = R"(# The job file

<!-- Generated from core/job/job_fields.cc by `llmctl schema --markdown`; a test keeps it current. -->

A job file is YAML (or JSON) of at most 1 MiB. Required are `model`, `datasets` and one of
`max_steps`, `max_tokens`, `num_epochs`, `max_duration`; everything else has the default shown here.

```yaml
name: shakespeare
model: llama-5m
datasets: [data/*.txt]
tokenizer: {train: {vocab_size: 4096}}
sequence_len: 256
global_batch_size: 32
max_tokens: 50_000_000
learning_rate: 1e-3
val_set_size: 0.05
```

Paths are relative to the job file. Sizes are written `24GiB` or `24GB`, durations `8h30m`, numbers
`1e-4` or `1_000_000`. `auto` leaves a choice to llmctl. All errors are reported at once, as
`job.yaml:12:7: learning_rate: expected number > 0, got "fast"`. What YAML readers disagree on is
refused with the fix: duplicate keys, merge keys (`<<`), `010`, an unquoted `yes` where text or a
boolean is wanted, several documents in one file.

)";

std::string job_file_markdown() {
  Defaults defaults;
  std::string text = kIntro;
  text += "## Fields\n\n" + table_markdown(job_fields(defaults.job));
  for (const Section& section : sections(defaults)) {
    text += "\n## `" + std::string(section.name) + "`\n\n";
    if (*section.intro != '\0') text += std::string(section.intro) + "\n\n";
    text += table_markdown(section.table);
    if (std::string_view(section.name) == "model") text += "\n" + presets_markdown();
  }
  return text +
         "\n## `labels` and `env`\n\nMappings from names to text. A job may set these variables "
         "for its "
         "trainers, and no others: most could make them load other code, write elsewhere or use "
         "devices that were not granted.\n\n" +
         settable_variables() + ".\n";
}

static json object_schema(const FieldTable& table) {
  json properties = json::object();
  for (const Field& field : table) {
    if (field.rule.type == Rule::Type::block) continue;
    properties[field.name] = value_schema(field);
    for (std::string_view alias : words(field.aliases)) {
      properties[std::string(alias)] = {{"$ref", "#/properties/" + std::string(field.name)}};
    }
  }
  return {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
}

// Aliases inside a block point into that block.
static json block_schema(const std::string& block, const FieldTable& table) {
  json schema = object_schema(table);
  for (auto& [name, property] : schema["properties"].items()) {
    if (!property.contains("$ref")) continue;
    const std::string target = property["$ref"];
    property["$ref"] = "#/$defs/" + block + target.substr(1);
  }
  return schema;
}

static json any_of(const json& first, const json& second) {
  return {{"anyOf", {first, second}}};
}

json job_file_schema() {
  Defaults d;
  const FieldTable job = job_fields(d.job);
  json schema = object_schema(job);
  const json string_type = {{"type", "string"}};
  const json strings = {{"type", "object"},
                        {"additionalProperties", {{"type", {"string", "number"}}}}};
  json& defs = schema["$defs"];
  defs["model"] = block_schema("model", model_fields(d.model));
  defs["dataset"] = block_schema("dataset", dataset_fields(d.dataset));
  defs["dataset"]["required"] = {"path"};
  defs["tokenizer"] = block_schema("tokenizer", tokenizer_fields(d.tokenizer));
  defs["tokenizer"]["properties"]["train"] =
      block_schema("train", tokenizer_train_fields(d.tokenizer));
  defs["tokenizer"]["properties"]["train"]["required"] = {"vocab_size"};
  defs["resources"] = block_schema("resources", resource_fields(d.resources));
  defs["retry"] = block_schema("retry", retry_fields(d.retry));
  const auto ref = [](const char* name) { return json{{"$ref", std::string("#/$defs/") + name}}; };
  const json dataset = any_of(string_type, ref("dataset"));
  json& properties = schema["properties"];
  properties["model"] = any_of(string_type, ref("model"));
  properties["datasets"] =
      any_of(dataset, {{"type", "array"}, {"items", dataset}, {"minItems", 1}});
  properties["tokenizer"] = any_of(string_type, ref("tokenizer"));
  properties["resources"] = ref("resources");
  properties["retry"] = ref("retry");
  properties["labels"] = strings;
  properties["env"] = strings;
  for (const Field& field : job) {
    if (field.rule.type != Rule::Type::block) continue;
    properties[field.name]["description"] = field.help;
    for (std::string_view alias : words(field.aliases)) {
      properties[std::string(alias)] = {{"$ref", std::string("#/properties/") + field.name}};
    }
  }
  schema["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  schema["title"] = "llmctl job file";
  return schema;
}

static std::string paragraph(const Field& field, const std::string& prefix) {
  std::string text = prefix + field.name;
  if (field.rule.type != Rule::Type::block) {
    text += ": " + expectation(field) + " (default " + value_text(field) + ")";
  }
  text += "\n" + std::string(field.help);
  if (*field.aliases != '\0') text += " Also: " + std::string(field.aliases) + ".";
  return text;
}

std::string field_help(std::string_view name) {
  Defaults defaults;
  for (const Field& field : job_fields(defaults.job)) {
    if (answers_to(field, name)) return paragraph(field, "");
  }
  for (const Section& section : sections(defaults)) {
    const std::string prefix = std::string(section.name) + ".";
    if (!name.starts_with(prefix)) continue;
    for (const Field& field : section.table) {
      if (answers_to(field, name.substr(prefix.size()))) return paragraph(field, prefix);
    }
  }
  return "";
}

}  // namespace llmctl
