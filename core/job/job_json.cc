// The canonical JSON of a job: every field, in the order of the tables. It is written as text, not
// as a tree, since every submission is. Reading goes through the same tables as a job file.
#include <nlohmann/json.hpp>

#include "core/base/json_reader.h"
#include "core/base/limits.h"
#include "core/fields/json_node.h"
#include "core/job/job_fields.h"

namespace llmctl {

using nlohmann::json;

namespace {

// One JSON object, appended to a text.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::string& out) : out_(out) { out_ += '{'; }
  ~ObjectWriter() { out_ += '}'; }
  ObjectWriter(const ObjectWriter&) = delete;
  ObjectWriter& operator=(const ObjectWriter&) = delete;

  std::string& key(std::string_view name) {  // the value goes to the text that it returns
    if (out_.back() != '{') out_ += ',';
    out_ += '"';
    out_ += name;
    out_ += "\":";
    return out_;
  }
  void fields(const FieldTable& table) {
    for (const Field& field : table) {
      if (field.rule.type != Rule::Type::block) write_json(field, key(field.name));
    }
  }

 private:
  std::string& out_;
};

void write_object(const FieldTable& table, std::string& out) {
  ObjectWriter(out).fields(table);
}

void write_datasets(std::vector<DatasetSpec>& datasets, std::string& out) {
  out += '[';
  for (DatasetSpec& dataset : datasets) {
    if (out.back() != '[') out += ',';
    write_object(dataset_fields(dataset), out);
  }
  out += ']';
}

json tokenizer_json(const TokenizerSpec& tokenizer) {
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

}  // namespace

std::string spec_text(const JobSpec& spec) {
  // Tables are bound to objects that they may write, so a copy is bound; a field that only helps to
  // derive others is absent from the canonical form.
  JobDraft draft{spec, std::nullopt};
  FieldTable fields = job_fields(draft);
  std::erase_if(fields, [](const Field& field) {
    return std::string_view(field.name) == "gradient_accumulation_steps";
  });
  std::string text;
  {
    ObjectWriter job(text);
    job.fields(fields);
    write_object(model_fields(draft.spec.model), job.key("model"));
    write_datasets(draft.spec.datasets, job.key("datasets"));
    job.key("tokenizer") += dump_json(tokenizer_json(spec.tokenizer));
    write_object(resource_fields(draft.spec.resources), job.key("resources"));
    write_object(retry_fields(draft.spec.retry), job.key("retry"));
    job.key("labels") += dump_json(spec.labels);
    job.key("env") += dump_json(spec.env);
  }
  return text;
}

json to_json(const JobSpec& spec) {
  return json::parse(spec_text(spec));
}

Status check_spec_size(size_t bytes) {
  if (bytes <= static_cast<size_t>(limits::kJobFileBytes)) return ok_status();
  return Error{Code::invalid_argument,
               "the job with all its fields written out is " +
                   format_bytes(static_cast<Bytes>(bytes)) + ", more than " +
                   format_bytes(limits::kJobFileBytes),
               "name a directory or a pattern instead of many datasets; shorten labels and env"};
}

Result<JobSpec> parse_spec_json(std::string_view text) {
  TRY(check_spec_size(text.size()));
  return read_stored_spec(text);
}

Result<JobSpec> read_stored_spec(std::string_view text) {
  ParsedJob parsed = parse_job(TRY(parse_json_node(text, "job spec")));
  for (const Diagnostic& diagnostic : parsed.diagnostics) {
    if (diagnostic.warning) continue;
    return invalid(to_string(diagnostic, "job spec"));
  }
  return std::move(parsed.spec);
}

}  // namespace llmctl
