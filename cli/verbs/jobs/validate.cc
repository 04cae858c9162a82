// validate and schema: job files without a scheduler.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/jobfile/job_file.h"
#include "cli/screen/documents.h"
#include "cli/screen/draw.h"
#include "cli/verbs/verbs.h"

namespace llmctl {

using nlohmann::json;

struct ValidateArguments {
  std::string file;
  std::vector<std::string> overrides;
};

static Result<int> validate(Context& context, const ValidateArguments& arguments) {
  const LoadedJob job = TRY(load_job(arguments.file, arguments.overrides));
  json diagnostics = json::array();
  for (const Diagnostic& diagnostic : job.diagnostics) {
    diagnostics.push_back({{"line", diagnostic.line},
                           {"column", diagnostic.column},
                           {"field", diagnostic.field},
                           {"message", diagnostic.message},
                           {"warning", diagnostic.warning}});
    if (!context.json()) context.err << to_string(diagnostic, job.file) << "\n";
  }
  if (context.json()) {
    json document = {
        {"api_version", kApiVersion}, {"valid", job.ok()}, {"diagnostics", std::move(diagnostics)}};
    if (job.ok()) {
      document["spec"] = to_json(job.spec);
      document["origin"] = job.origin;
    }
    context.print(document);
  } else if (job.ok()) {
    context.out << clean(job.file) << ": valid\n";
  }
  return job.ok() ? kExitOk : kExitUsage;
}

static VerbAction setup_validate(CLI::App& app) {
  auto arguments = std::make_shared<ValidateArguments>();
  app.add_option("FILE", arguments->file, "Job file (YAML)")->required();
  app.add_option("--set", arguments->overrides, "Change a field first")->type_name("FIELD=VALUE");
  return [arguments](Context& context) { return validate(context, *arguments); };
}

static VerbAction setup_schema(CLI::App& app) {
  auto markdown = std::make_shared<bool>(false);
  app.add_flag("--markdown", *markdown, "As a page for people");
  return [markdown](Context& context) -> Result<int> {
    // A JSON Schema is its own kind of document, for editors: it has no api_version.
    if (*markdown)
      context.out << job_file_markdown();
    else
      context.out << job_file_schema().dump(2) << "\n";
    return kExitOk;
  };
}

const Verb kValidateVerb{"validate", "Jobs",
                         "Check a job file; every mistake at once, with its place",
                         "llmctl validate job.yaml", setup_validate};
const Verb kSchemaVerb{"schema", "This program", "The JSON Schema of job files, for editors",
                       "llmctl schema > job.schema.json\nllmctl schema --markdown | less",
                       setup_schema};

}  // namespace llmctl
