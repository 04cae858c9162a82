// The canonical JSON of a job: every field of the tables, keys sorted. Reading goes through the
// same tables as a job file.
#include <nlohmann/json.hpp>

#include "core/job_fields.h"
#include "core/json_node.h"
#include "core/limits.h"

namespace llmctl {

using nlohmann::json;

static void write_table(const FieldTable& table, json& object) {
  for (const Field& field : table) {
    if (field.rule.type != Rule::Type::block) object[field.name] = value_json(field);
  }
}

static json tokenizer_json(const TokenizerSpec& tokenizer) {
  switch (tokenizer.kind) {
    case TokenizerSpec::Kind::bytes:
      break;
    case TokenizerSpec::Kind::file:
      return {{"path", tokenizer.path}, {"vocab_size", tokenizer.vocab_size}};
    case TokenizerSpec::Kind::train:
      return {{"train", {{"vocab_size", tokenizer.vocab_size}}}};
  }
  return "bytes";
}

json to_json(const JobSpec& spec) {
  // Tables are bound to objects that they may write, so a copy is bound; a field that only helps to
  // derive others is absent from the canonical form.
  JobDraft draft{spec, std::nullopt};
  json document = json::object();
  write_table(job_fields(draft), document);
  document.erase("gradient_accumulation_steps");
  document["model"] = json::object();
  write_table(model_fields(draft.spec.model), document["model"]);
  document["datasets"] = json::array();
  for (DatasetSpec& dataset : draft.spec.datasets) {
    json& item = document["datasets"].emplace_back(json::object());
    write_table(dataset_fields(dataset), item);
  }
  document["tokenizer"] = tokenizer_json(spec.tokenizer);
  document["resources"] = json::object();
  write_table(resource_fields(draft.spec.resources), document["resources"]);
  document["retry"] = json::object();
  write_table(retry_fields(draft.spec.retry), document["retry"]);
  document["labels"] = spec.labels;
  document["env"] = spec.env;
  return document;
}

Result<JobSpec> parse_spec_json(std::string_view text) {
  if (text.size() > limits::kJobFileBytes) {
    return invalid("job spec is larger than 1 MiB");
  }
  ParsedJob parsed = parse_job(TRY(parse_json_node(text, "job spec")));
  for (const Diagnostic& diagnostic : parsed.diagnostics) {
    if (diagnostic.warning) continue;
    return invalid(to_string(diagnostic, "job spec"));
  }
  return std::move(parsed.spec);
}

}  // namespace llmctl
