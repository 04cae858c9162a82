#include "cli/screen/documents.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/shell/exit_code.h"

namespace llmctl {

using nlohmann::json;

static json number(double value) {
  return std::isfinite(value) ? json(value) : json(nullptr);
}
static json number_or_null(double value) {  // 0 stands for "unknown" on the wire
  return value > 0 ? number(value) : json(nullptr);
}
static json time_or_null(Millis unix_ms) {
  return unix_ms > 0 ? json(format_rfc3339(unix_ms)) : json(nullptr);
}
static json versioned(json document) {
  document["api_version"] = kApiVersion;
  return document;
}
static json parsed_or_null(const std::string& text) {
  json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  return document.is_discarded() ? json(nullptr) : document;
}

static json phases_json(const PhaseSeconds& seconds) {
  json by_name;
  for (size_t i = 0; i < kTrainPhases; ++i) {
    by_name[to_string(static_cast<TrainPhase>(i))] = number(seconds[i]);
  }
  return by_name;
}

static json progress_json(const Progressed& p, double eta_seconds) {
  return {{"step", p.step},
          {"steps", p.steps},
          {"tokens", p.tokens},
          {"loss", number(p.loss)},
          {"eval_loss", number(p.eval_loss)},
          {"learning_rate", number(p.learning_rate)},
          {"grad_norm", number(p.grad_norm)},
          {"tokens_per_second", number(p.tokens_per_second)},
          {"seconds_per_step", number(p.seconds_per_step)},
          {"peak_bytes", p.peak_bytes},
          {"nonfinite_steps", p.nonfinite_steps},
          {"phase", p.phase},
          {"mfu", number_or_null(p.mfu)},
          {"phase_seconds", phases_json(p.phase_seconds)},
          {"train_tokens", p.train_tokens},
          {"unigram_entropy", number_or_null(p.unigram_entropy)},
          {"eta_seconds", number_or_null(eta_seconds)}};
}

std::string checkpoint_path(const std::string& jobs_dir, int64_t job_id, const std::string& name) {
  if (jobs_dir.empty()) return name;
  return jobs_dir + "/" + std::to_string(job_id) + "/checkpoints/" + name;
}

static json checkpoints_json(const JobView& job, const std::string& jobs_dir) {
  json list = json::array();
  for (const CheckpointView& checkpoint : job.checkpoints) {
    const CheckpointCommitted& commit = checkpoint.commit;
    list.push_back({{"step", commit.step},
                    {"tokens", commit.tokens},
                    {"path", checkpoint_path(jobs_dir, job.id, commit.path)},
                    {"bytes", commit.bytes},
                    {"loss", number(commit.loss)},
                    {"epoch", checkpoint.epoch},
                    {"seconds", number_or_null(commit.seconds)},
                    {"manifest_hash", commit.manifest_hash}});
  }
  return list;
}

static json job_json(const JobView& job) {
  return {{"id", job.id},
          {"name", job.name},
          {"state", job.state},
          {"reason", job.reason},
          {"detail", job.detail},
          {"priority", job.priority},
          {"attempts", job.attempts},
          {"restarts", job.restarts},
          {"epoch", job.epoch},
          {"retry_of", job.retry_of > 0 ? json(job.retry_of) : json(nullptr)},
          {"plan", to_json(job.plan)},
          {"progress", progress_json(job.progress, job.eta_seconds)},
          {"submitted_at", time_or_null(job.submitted_unix_ms)},
          {"started_at", time_or_null(job.started_unix_ms)},
          {"moved_at", time_or_null(job.moved_unix_ms)},
          {"last_seq", job.last_seq}};
}

static json sample_json(const SampleGenerated& sample) {
  return {{"step", sample.step}, {"prompt", sample.prompt}, {"text", sample.text}};
}

json job_document(const JobView& job, const std::string& jobs_dir) {
  json document = job_json(job);
  document["spec"] = parsed_or_null(job.spec_json);
  document["checkpoints"] = checkpoints_json(job, jobs_dir);
  document["sample"] = job.sample ? sample_json(*job.sample) : json(nullptr);
  document["ranks"] = json::array();
  for (const RankView& rank : job.ranks) {
    document["ranks"].push_back({{"rank", rank.rank},
                                 {"worker", rank.worker},
                                 {"device", rank.device},
                                 {"bytes", rank.bytes},
                                 {"up", rank.up},
                                 {"gone", rank.gone},
                                 {"outcome", rank.outcome},
                                 {"pid", rank.pid}});
  }
  return versioned(std::move(document));
}

json jobs_document(const std::vector<JobView>& jobs) {
  json list = json::array();
  for (const JobView& job : jobs) list.push_back(job_json(job));
  return versioned({{"jobs", std::move(list)}});
}

json submitted_document(const SubmittedView& submitted) {
  return versioned(
      {{"id", submitted.id}, {"state", submitted.state}, {"existed", submitted.existed}});
}

static json explanation_json(const ExplanationView& explanation) {
  return {{"headline", explanation.headline},
          {"evidence", explanation.evidence},
          {"next_step", explanation.next_step}};
}

static json grant_json(const Grant& grant) {
  return {{"rank", grant.rank},
          {"worker_id", grant.worker.value},
          {"worker", grant.worker_name},
          {"device", device_label(grant.device_kind, grant.device_index)},
          {"bytes", grant.bytes}};
}

json plan_document(const PlanView& plan, const std::string& spec_json) {
  json candidates = json::array(), placement = json::array();
  for (const Plan& candidate : plan.candidates) candidates.push_back(to_json(candidate));
  for (const Grant& rank : plan.placement) placement.push_back(grant_json(rank));
  return versioned({{"spec", parsed_or_null(spec_json)},
                    {"plan", to_json(plan.chosen)},
                    {"from_profile", plan.from_profile},
                    {"parameters", plan.parameters},
                    {"flops_per_token", number(plan.flops_per_token)},
                    {"candidates", std::move(candidates)},
                    {"placement", std::move(placement)},
                    {"explanation", explanation_json(plan.explanation)}});
}

json explain_document(int64_t id, const ExplanationView& explanation) {
  json document = explanation_json(explanation);
  document["id"] = id;
  return versioned(std::move(document));
}

json metrics_document(int64_t id, const std::vector<SeriesView>& series) {
  json list = json::array();
  for (const SeriesView& one : series) {
    json points = json::array();
    for (const PointView& point : one.points) {
      points.push_back(json::array({point.step, point.unix_ms, number(point.value)}));
    }
    list.push_back({{"name", one.name}, {"points", std::move(points)}});
  }
  return versioned({{"id", id}, {"series", std::move(list)}});
}

json checkpoints_document(const JobView& job, const std::string& jobs_dir) {
  return versioned({{"id", job.id}, {"checkpoints", checkpoints_json(job, jobs_dir)}});
}

json workers_document(const std::vector<WorkerView>& workers) {
  json list = json::array();
  for (const WorkerView& worker : workers) {
    json devices = json::array();
    for (const DeviceView& view : worker.devices) {
      const Device& device = view.device;
      devices.push_back({{"index", device.index},
                         {"kind", device.kind},
                         {"uuid", device.uuid},
                         {"name", device.name},
                         {"memory_total", device.memory_total},
                         {"memory_promised", view.promised},
                         {"memory_foreign", device.memory_foreign},
                         {"slots", device.slots},
                         {"slots_used", view.slots_used},
                         {"healthy", device.healthy}});
    }
    list.push_back({{"id", worker.id},
                    {"name", worker.name},
                    {"state", worker.state},
                    {"hostname", worker.hostname},
                    {"version", worker.version},
                    {"cpus", worker.cpus},
                    {"ram_total", worker.ram_total},
                    {"seen_ms_ago", worker.seen_ms_ago},
                    {"jobs", worker.job_ids},
                    {"devices", std::move(devices)}});
  }
  return versioned({{"workers", std::move(list)}});
}

json server_document(const ServerView& server) {
  return {{"version", server.version},
          {"started_at", time_or_null(server.started_unix_ms)},
          {"last_seq", server.last_seq},
          {"jobs_live", server.jobs_live},
          {"workers_connected", server.workers_connected},
          {"metrics_port", server.metrics_port},
          {"last_job_id", server.last_job_id}};
}

json event_document(const Event& event) {
  json document = {{"seq", event.seq.value},       {"at", time_or_null(event.unix_ms)},
                   {"job", event.job.value},       {"epoch", event.epoch.value},
                   {"worker", event.worker.value}, {"type", event_name(event)},
                   {"text", describe(event)}};
  if (const auto* granted = std::get_if<AttemptGranted>(&event.body)) {
    document["kind"] = to_string(granted->kind);
    for (const Grant& grant : granted->grants) document["ranks"].push_back(grant_json(grant));
  }
  if (const auto* moved = std::get_if<JobMoved>(&event.body)) {
    document["from"] = to_string(moved->from);
    document["to"] = to_string(moved->to);
    document["reason"] = to_string(moved->reason);
    document["detail"] = moved->detail;
  }
  if (const auto* progress = std::get_if<Progressed>(&event.body)) {
    document["progress"] = progress_json(*progress, 0);
  }
  if (const auto* commit = std::get_if<CheckpointCommitted>(&event.body)) {
    document["step"] = commit->step;
    document["path"] = commit->path;
    document["bytes"] = commit->bytes;
    document["loss"] = number(commit->loss);
    document["seconds"] = number_or_null(commit->seconds);
  }
  if (const auto* removed = std::get_if<CheckpointRemoved>(&event.body)) {
    document["path"] = removed->path;
    document["corrupt"] = removed->corrupt;
  }
  if (const auto* sample = std::get_if<SampleGenerated>(&event.body)) {
    document["sample"] = sample_json(*sample);
  }
  return versioned(std::move(document));
}

json error_document(const Error& error) {
  return versioned(
      {{"error",
        {{"code", code_name(error.code)}, {"message", error.message}, {"hint", error.hint}}}});
}

}  // namespace llmctl
