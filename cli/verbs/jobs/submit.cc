// plan and submit: a job file on its way to the scheduler.
#include <algorithm>
#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/cluster/home.h"
#include "cli/jobfile/job_file.h"
#include "cli/screen/documents.h"
#include "cli/screen/render.h"
#include "cli/verbs/jobs/watch.h"
#include "cli/verbs/verbs.h"

namespace llmctl {

using nlohmann::json;

struct SubmitArguments {
  std::string file;
  std::vector<std::string> overrides;  // "field=value"
  int64_t priority = -1;               // -1: the job file's
  std::string key;
  bool watch = false, dry_run = false, yes = false, all = false;
};

static void add_file_options(CLI::App& app, SubmitArguments& arguments) {
  app.add_option("FILE", arguments.file, "Job file (YAML)")->required();
  app.add_option("--set", arguments.overrides, "Change a field: --set learning_rate=3e-4")
      ->type_name("FIELD=VALUE");
  app.add_option("--priority", arguments.priority, "0 to 100, bigger is sooner")
      ->check(CLI::Range(0, 100));
}

static Result<LoadedJob> load(const SubmitArguments& arguments) {
  std::vector<std::string> overrides = arguments.overrides;
  if (arguments.priority >= 0) {
    overrides.push_back("priority=" + std::to_string(arguments.priority));
  }
  LoadedJob job = TRY(load_job(arguments.file, overrides));
  if (!job.ok()) {
    return Error{Code::invalid_argument, job.file + " is not a valid job\n" + job.text(),
                 "`llmctl explain FIELD` tells what a field means"};
  }
  return job;
}

static std::string value_text(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// The value of "model.hidden_size" in a job's JSON; nullptr: such a field is only for people.
static const json* value_of(const json& spec, const std::string& field) {
  const json* value = &spec;
  size_t begin = 0;
  while (begin <= field.size() && value->is_object()) {
    const size_t end = std::min(field.find('.', begin), field.size());
    const auto child = value->find(field.substr(begin, end - begin));
    if (child == value->end()) return nullptr;
    value = &*child;
    begin = end + 1;
  }
  return value;
}

// Every field with its value and where it came from, a block by its own fields; what a preset or
// the model's config says is the model's own line, unless all is asked for. What the job file gave
// comes first.
static std::vector<std::vector<std::string>> settings_of(const LoadedJob& job, bool all) {
  const json spec = to_json(job.spec);
  std::vector<std::vector<std::string>> given, others;
  for (const auto& [field, origin] : job.origin) {
    const auto inner = job.origin.lower_bound(field + ".");
    if (inner != job.origin.end() && inner->first.starts_with(field + ".")) continue;
    const bool of_model = origin == "preset" || (origin == "config" && field.starts_with("model."));
    if (of_model && !all) continue;
    const json* value = value_of(spec, field);
    if (value == nullptr || value->is_null()) continue;
    const std::string text = value_text(*value);
    if (text.empty()) continue;
    (origin == "given" ? given : others).push_back({field, text, origin});
  }
  given.insert(given.end(), others.begin(), others.end());
  return given;
}

static Result<int> show_plan(Context& context, const LoadedJob& job, bool all) {
  Client client = TRY(connect(context.env));
  const std::string spec_json = spec_text(job.spec);
  const PlanView plan = TRY(client.plan(spec_json));
  if (context.json()) {
    json document = plan_document(plan, spec_json);
    document["origin"] = job.origin;
    context.print(document);
    return kExitOk;
  }
  PlanScreen screen{plan, job.spec, settings_of(job, all), {}};
  for (const Diagnostic& warning : job.diagnostics) {
    screen.warnings.push_back(to_string(warning, job.file));
  }
  context.out << render_plan(screen, {context.out_terminal, context.clock.unix_ms()});
  return kExitOk;
}

static VerbAction setup_plan(CLI::App& app) {
  auto arguments = std::make_shared<SubmitArguments>();
  add_file_options(app, *arguments);
  app.add_flag("--all", arguments->all, "Also what a preset or the model's config.json says");
  return [arguments](Context& context) -> Result<int> {
    const LoadedJob job = TRY(load(*arguments));
    return show_plan(context, job, arguments->all);
  };
}

// Asks only a person at a terminal; a script's submit goes ahead.
static bool confirmed(Context& context, const SubmitArguments& arguments) {
  const bool person = context.out_terminal.tty && context.err_terminal.tty;
  if (arguments.yes || arguments.watch || context.json() || !person) return true;
  context.err << "Submit? [Y/n] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer.empty() || answer[0] == 'y' || answer[0] == 'Y';
}

static Result<int> submit(Context& context, const SubmitArguments& arguments) {
  const LoadedJob job = TRY(load(arguments));
  if (arguments.dry_run) return show_plan(context, job, false);
  for (const Diagnostic& warning : job.diagnostics) {
    context.err << to_string(warning, job.file) << "\n";
  }
  if (!confirmed(context, arguments)) {
    context.err << "not submitted\n";
    return kExitFailure;
  }
  Client client = TRY(connect(context.env));
  const SubmittedView submitted = TRY(client.submit(spec_text(job.spec), arguments.key));
  const std::string id = std::to_string(submitted.id);
  if (context.json()) {
    context.print(submitted_document(submitted));
  } else {
    context.out << "job " << id << " " << submitted.state << "\n" << std::flush;
    if (submitted.existed) context.err << "this key was submitted before; it is the same job\n";
    if (!arguments.watch) {
      context.err << "Next: llmctl watch " << id << "; llmctl explain " << id << "\n";
    }
  }
  if (!arguments.watch) return kExitOk;
  const JobView view = TRY(client.get(JobId{submitted.id}));
  return watch_job(context, view, {});
}

static VerbAction setup_submit(CLI::App& app) {
  auto arguments = std::make_shared<SubmitArguments>();
  add_file_options(app, *arguments);
  app.add_flag("-w,--watch", arguments->watch, "Follow the job to its end; Ctrl-C detaches");
  app.add_flag("--dry-run", arguments->dry_run, "Only show the plan");
  app.add_option("--key", arguments->key, "Idempotency key: the same key is the same job");
  app.add_flag("-y,--yes", arguments->yes, "Do not ask");
  return [arguments](Context& context) { return submit(context, *arguments); };
}

const Verb kPlanVerb{"plan", "Jobs", "What a job file means: settings, memory, where it would run",
                     "llmctl plan job.yaml\nllmctl plan job.yaml --set sequence_len=1024",
                     setup_plan};
const Verb kSubmitVerb{"submit", "Jobs", "Submit a job file",
                       "llmctl submit job.yaml --watch\n"
                       "llmctl submit job.yaml --set learning_rate=3e-4 --priority 80\n"
                       "id=$(llmctl submit job.yaml -o json | jq .id)\n"
                       "llmctl submit job.yaml --key nightly-2026-11-21   # safe to repeat",
                       setup_submit};

}  // namespace llmctl
