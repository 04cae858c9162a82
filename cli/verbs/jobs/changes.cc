// cancel, pause, resume, retry, priority: verbs that change jobs. Each takes several ids, tries
// them all, and ends with the first error's code.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/ask/selector.h"
#include "cli/cluster/home.h"
#include "cli/screen/documents.h"
#include "cli/screen/draw.h"
#include "cli/verbs/verbs.h"

namespace llmctl {

using nlohmann::json;

// What one id became: a line for people and an object for programs.
struct Changed {
  std::string line;
  json document;
};
using Change = std::function<Result<Changed>(Client&, JobId)>;

static Changed changed(const JobView& job) {
  const std::string reason = job.reason.empty() ? "" : " (" + job.reason + ")";
  return {
      "job " + std::to_string(job.id) + " " + job.state + reason,
      {{"id", job.id}, {"state", job.state}, {"reason", job.reason}, {"priority", job.priority}}};
}

static Result<int> change_all(Context& context,
                              const std::vector<std::string>& words,
                              const Change& change) {
  Client client = TRY(connect(context.env));
  const std::vector<JobId> ids = TRY(resolve_jobs(client, words));
  json list = json::array();
  int code = kExitOk;
  for (const JobId id : ids) {
    const Result<Changed> result = change(client, id);
    if (result.ok()) {
      list.push_back(result->document);
      if (!context.json()) context.out << clean(result->line) << "\n";
      continue;
    }
    const Error& error = result.error();
    if (ids.size() == 1) return error;
    if (code == kExitOk) code = exit_code_of(error);
    list.push_back({{"id", id.value}, {"error", error_document(error)["error"]}});
    if (!context.json()) {
      context.err << "job " << id.value << ": " << error.message << "\n";
    }
  }
  if (context.json()) context.print({{"api_version", kApiVersion}, {"jobs", std::move(list)}});
  return code;
}

static VerbAction setup_change(CLI::App& app, Change change) {
  auto ids = std::make_shared<std::vector<std::string>>();
  app.add_option("ID", *ids, "Jobs: 17, 1,4, 3-7, last, a name")->required();
  return [ids, change = std::move(change)](Context& context) {
    return change_all(context, *ids, change);
  };
}

static VerbAction setup_state_change(CLI::App& app, Result<JobView> (Client::*call)(JobId)) {
  return setup_change(app, [call](Client& client, JobId id) -> Result<Changed> {
    const JobView job = TRY((client.*call)(id));
    return changed(job);
  });
}

static VerbAction setup_cancel(CLI::App& app) {
  return setup_state_change(app, &Client::cancel);
}
static VerbAction setup_pause(CLI::App& app) {
  return setup_state_change(app, &Client::pause);
}
static VerbAction setup_resume(CLI::App& app) {
  return setup_state_change(app, &Client::resume);
}

static VerbAction setup_retry(CLI::App& app) {
  return setup_change(app, [](Client& client, JobId id) -> Result<Changed> {
    const SubmittedView submitted = TRY(client.retry(id));
    return Changed{"job " + std::to_string(submitted.id) + " " + submitted.state +
                       ", continues job " + id.str(),
                   {{"id", submitted.id}, {"state", submitted.state}, {"retry_of", id.value}}};
  });
}

static VerbAction setup_priority(CLI::App& app) {
  auto id = std::make_shared<std::string>();
  auto priority = std::make_shared<int64_t>(0);
  app.add_option("ID", *id, "Jobs: 17, 1,4, 3-7, last, a name")->required();
  app.add_option("N", *priority, "0 to 100, bigger is sooner")
      ->required()
      ->check(CLI::Range(0, 100));
  return [id, priority](Context& context) {
    return change_all(context, {*id}, [&](Client& client, JobId job_id) -> Result<Changed> {
      const JobView job = TRY(client.set_priority(job_id, *priority));
      Changed change = changed(job);
      change.line += ", priority " + std::to_string(job.priority);
      return change;
    });
  };
}

const Verb kCancelVerb{"cancel", "Jobs", "Stop jobs for good; checkpoints stay",
                       "llmctl cancel 17\nllmctl cancel 3-7", setup_cancel};
const Verb kPauseVerb{"pause", "Jobs", "Checkpoint jobs and take them off their devices",
                      "llmctl pause 17", setup_pause};
const Verb kResumeVerb{"resume", "Jobs", "Let paused jobs continue from their checkpoint",
                       "llmctl resume 17", setup_resume};
const Verb kRetryVerb{"retry", "Jobs", "Run finished jobs again, from their newest checkpoint",
                      "llmctl retry 17", setup_retry};
const Verb kPriorityVerb{"priority", "Jobs", "Change how soon waiting jobs come",
                         "llmctl priority 17 90", setup_priority};

}  // namespace llmctl
