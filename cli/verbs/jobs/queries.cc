// ls, show, explain, metrics, checkpoints: looking at jobs.
#include <CLI/CLI.hpp>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/ask/selector.h"
#include "cli/cluster/home.h"
#include "cli/screen/documents.h"
#include "cli/screen/draw.h"
#include "cli/screen/render.h"
#include "cli/verbs/verbs.h"
#include "core/job/job_spec.h"
#include "core/job/job_state.h"

namespace llmctl {

using nlohmann::json;

static RenderAt render_at(const Context& context) {
  return {context.out_terminal, context.clock.unix_ms()};
}

// ---- ls

struct LsArguments {
  ListFilter filter;
  size_t limit = 0;  // 0: not given
  std::vector<std::string> labels;
};

static Result<int> ls(Context& context, LsArguments arguments) {
  for (std::string& state : arguments.filter.states) {
    for (char& c : state) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    if (!parse_job_state(state)) {
      return Error{Code::invalid_argument, "no such state: " + clean(state),
                   "one of queued, probing, starting, running, preempting, recovering, paused, "
                   "succeeded, failed, canceled"};
    }
  }
  for (const std::string& label : arguments.labels) {
    const size_t equals = label.find('=');
    if (equals == std::string::npos) {
      return Error{Code::invalid_argument, "--label " + clean(label) + ": expected KEY=VALUE", ""};
    }
    arguments.filter.labels.emplace_back(label.substr(0, equals), label.substr(equals + 1));
  }
  // A screen shows the newest; what a script reads is whole unless it asks for less.
  if (context.json()) arguments.filter.limit = std::numeric_limits<size_t>::max();
  if (arguments.limit > 0) arguments.filter.limit = arguments.limit;
  Client client = TRY(connect(context.env));
  const std::vector<JobView> jobs = TRY(client.list(arguments.filter));
  if (context.json()) {
    context.print(jobs_document(jobs));
    return kExitOk;
  }
  context.out << render_jobs(jobs, render_at(context));
  const ListFilter& filter = arguments.filter;
  const bool filtered =
      !filter.states.empty() || !filter.name_contains.empty() || !filter.labels.empty();
  if (jobs.empty()) {
    context.err << (filtered ? "no job is like that; `llmctl ls` shows the others\n"
                             : "no jobs; `llmctl submit job.yaml` makes one\n");
  }
  if (jobs.size() == arguments.filter.limit) {
    context.err << "the newest " << jobs.size() << "; --limit shows more\n";
  }
  return kExitOk;
}

static VerbAction setup_ls(CLI::App& app) {
  auto arguments = std::make_shared<LsArguments>();
  app.add_option("--state", arguments->filter.states, "Only these states: running,queued")
      ->delimiter(',');
  app.add_option("--name", arguments->filter.name_contains, "Only names containing this");
  app.add_option("--label", arguments->labels, "Only jobs with this label")->type_name("KEY=VALUE");
  app.add_option("-n,--limit", arguments->limit,
                 "Rows, newest first (default: 100 on the screen, all with -o json)")
      ->check(CLI::PositiveNumber);
  return [arguments](Context& context) { return ls(context, *arguments); };
}

// ---- show

// All events of the job up to now. A log that was compacted leaves the timeline empty.
static std::vector<Event> timeline_of(Client& client, const JobView& job) {
  std::vector<Event> events;
  const WatchQuery query{.job_id = job.id, .from_seq = 1, .until_now = true};
  (void)client.watch(query, [&](const Event* event) {
    if (event != nullptr) events.push_back(*event);
    return true;
  });
  return events;
}

static Result<int> show(Context& context, const std::string& word) {
  Client client = TRY(connect(context.env));
  const JobId id = TRY(resolve_job(client, word));
  const JobView job = TRY(client.get(id));
  const std::string jobs_dir = local_jobs_dir(context.env);
  if (context.json()) {
    context.print(job_document(job, jobs_dir));
    return kExitOk;
  }
  context.out << render_job({job, timeline_of(client, job), jobs_dir}, render_at(context));
  return kExitOk;
}

static VerbAction setup_show(CLI::App& app) {
  auto id = std::make_shared<std::string>("last");
  app.add_option("ID", *id, "The job (default: the newest)");
  return [id](Context& context) { return show(context, *id); };
}

// ---- explain

static Result<int> explain_field(Context& context, const std::string& field) {
  const std::string help = field_help(field);
  if (context.json()) {
    context.print({{"api_version", kApiVersion}, {"field", field}, {"help", help}});
  } else {
    context.out << help << (help.ends_with('\n') ? "" : "\n");
  }
  return kExitOk;
}

static Result<int> explain(Context& context, const std::string& word) {
  if (!field_help(word).empty()) return explain_field(context, word);
  Client client = TRY(connect(context.env));
  const JobId id = TRY(resolve_job(client, word));
  const ExplanationView explanation = TRY(client.explain(id));
  if (context.json()) {
    context.print(explain_document(id.value, explanation));
  } else {
    context.out << render_explanation(explanation, render_at(context));
  }
  return kExitOk;
}

static VerbAction setup_explain(CLI::App& app) {
  auto word = std::make_shared<std::string>("last");
  app.add_option("ID|FIELD", *word, "A job, or a field of the job file");
  return [word](Context& context) { return explain(context, *word); };
}

// ---- metrics

struct MetricsArguments {
  std::string id = "last";
  std::vector<std::string> names;
  int max_points = 0;
};

static Result<int> metrics(Context& context, const MetricsArguments& arguments) {
  Client client = TRY(connect(context.env));
  const JobId id = TRY(resolve_job(client, arguments.id));
  constexpr int kTablePoints = 512;  // enough for a sparkline, exact in its extremes
  const int points =
      arguments.max_points == 0 && !context.json() ? kTablePoints : arguments.max_points;
  const std::vector<SeriesView> series = TRY(client.metrics(id, arguments.names, points));
  if (context.json()) {
    context.print(metrics_document(id.value, series));
  } else {
    context.out << render_metrics(series, render_at(context));
  }
  return kExitOk;
}

static VerbAction setup_metrics(CLI::App& app) {
  auto arguments = std::make_shared<MetricsArguments>();
  app.add_option("ID", arguments->id, "The job (default: the newest)");
  app.add_option("--name", arguments->names, "Only these series: loss,eval_loss")->delimiter(',');
  app.add_option("--max-points", arguments->max_points, "Thin each series to about this many")
      ->check(CLI::NonNegativeNumber);
  return [arguments](Context& context) { return metrics(context, *arguments); };
}

// ---- checkpoints

static Result<int> checkpoints(Context& context, const std::string& word) {
  Client client = TRY(connect(context.env));
  const JobId id = TRY(resolve_job(client, word));
  const JobView job = TRY(client.get(id));
  const std::string jobs_dir = local_jobs_dir(context.env);
  if (context.json()) {
    context.print(checkpoints_document(job, jobs_dir));
    return kExitOk;
  }
  context.out << render_checkpoints(job, jobs_dir, render_at(context));
  if (job.checkpoints.empty()) context.err << "no committed checkpoint yet\n";
  return kExitOk;
}

static VerbAction setup_checkpoints(CLI::App& app) {
  auto id = std::make_shared<std::string>("last");
  app.add_option("ID", *id, "The job (default: the newest)");
  return [id](Context& context) { return checkpoints(context, *id); };
}

const Verb kLsVerb{
    "ls", "Jobs", "List jobs, newest first",
    "llmctl ls\nllmctl ls --state running,queued\nllmctl ls -o json | jq '.jobs[].id'", setup_ls};
const Verb kShowVerb{"show", "Jobs", "Everything about a job on one screen",
                     "llmctl show\nllmctl show 17\nllmctl show last -o json", setup_show};
const Verb kExplainVerb{"explain", "Jobs", "Why a job waits, failed, or runs like this",
                        "llmctl explain 17\nllmctl explain learning_rate    # a job-file field",
                        setup_explain};
const Verb kMetricsVerb{"metrics", "Jobs", "Loss, speed and more as series",
                        "llmctl metrics 17\nllmctl metrics last --name loss,eval_loss -o json",
                        setup_metrics};
const Verb kCheckpointsVerb{"checkpoints", "Results", "The committed checkpoints of a job",
                            "llmctl checkpoints 17\n"
                            "llmctl checkpoints last -o json | jq -r '.checkpoints[-1].path'",
                            setup_checkpoints};

}  // namespace llmctl
