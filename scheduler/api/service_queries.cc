// The questions: nothing here changes anything.
#include <algorithm>
#include <charconv>

#include "core/base/limits.h"
#include "core/plan/plan_search.h"
#include "proto/checks.h"
#include "proto/convert.h"
#include "scheduler/api/service.h"
#include "scheduler/heart/explain.h"
#include "scheduler/heart/fit.h"
#include "scheduler/heart/placement.h"
#include "scheduler/store/job_row.h"

namespace llmctl {
namespace {

constexpr int kDefaultPage = 100;
constexpr int kSeriesNames = 8;
// What fits one message: a point takes at most 30 bytes, and jobs have up to 12 series.
constexpr int kPointsPerSeries = static_cast<int>(limits::kMessageBytes / 32 / 12);

v1::ExplainResponse to_wire(const Explanation& explanation) {
  v1::ExplainResponse out;
  out.set_headline(wire::utf8(explanation.headline));
  for (const std::string& line : explanation.evidence) out.add_evidence(wire::utf8(line));
  out.set_next_step(wire::utf8(explanation.next_step));
  return out;
}

Result<JobQuery> read_list(const v1::ListRequest& request) {
  JobQuery query;
  for (const std::string& state : request.states()) {
    TRY(wire::enumerator("states", state, parse_job_state));
    query.states.push_back(state);
  }
  if (request.states_size() > 16) return wire::bad_field("states", "at most 16");
  query.name_contains =
      TRY(wire::text("name_contains", request.name_contains(), limits::kNameBytes));
  if (request.labels_size() > limits::kLabels) return wire::bad_field("labels", "too many");
  query.labels = {request.labels().begin(), request.labels().end()};
  const int32_t size = TRY(wire::at_least("page_size", request.page_size(), 0));
  query.page_size = std::min(size == 0 ? kDefaultPage : size, limits::kPageSize);
  query.oldest_first = request.oldest_first();
  const std::string& token = request.page_token();
  const char* end = token.data() + token.size();
  const auto [stop, problem] = std::from_chars(token.data(), end, query.after_id);
  const bool valid = problem == std::errc() && stop == end && query.after_id > 0;
  if (!token.empty() && !valid) {
    return wire::bad_field("page_token", "not a token of a previous answer");
  }
  return query;
}

// A job that was not submitted: what a dry run looks at. Its plan is there when profiles know one.
Job imagined(const State& state, const JobSpec& spec, const SchedulerConfig& config) {
  Event event;
  event.job = JobId{state.last_job.value + 1};
  event.body = JobSubmitted{spec, "", {}, {}};
  Job job;
  apply(job, event);
  if (auto known = plan_from_profiles(state, job, config)) {
    event.body = JobPlanned{*std::move(known)};
    apply(job, event);
  }
  return job;
}

// What candidates are searched for: the roomiest device that the job may have.
SearchRoom search_room(const State& state, const Job& job) {
  const JobSpec& spec = *job.spec;
  SearchRoom most = {spec.resources.memory, spec.resources.device != "cuda"};
  const std::vector<DeviceType> types = matching_types(state, job);
  if (!types.empty()) most = types.front().room;
  for (const DeviceType& type : types) {
    if (type.room.cap_bytes > most.cap_bytes) most = type.room;
  }
  return most;
}

}  // namespace

grpc::ServerUnaryReactor* SchedulerService::Get(Context* context,
                                                const v1::JobRequest* request,
                                                v1::Job* response) {
  const UnaryCall call(parts_, context, "Get");
  with_job_id(call, request->job_id(), [this, call, response](JobId id, const State& state) {
    answer_job(call, id, state, response);
  });
  return call.reactor();
}

grpc::ServerUnaryReactor* SchedulerService::List(Context* context,
                                                 const v1::ListRequest* request,
                                                 v1::ListResponse* response) {
  const UnaryCall call(parts_, context, "List");
  auto query = read_list(*request);
  if (!query.ok()) {
    call.fail(query.error());
    return call.reactor();
  }
  read_archive(call, [call, response, query = std::move(query).value()](Archive& archive) {
    auto page = archive.jobs(query);
    if (!page.ok()) return call.fail(page.error());
    if (page->more) response->set_next_page_token(std::to_string(page->jobs.back().id()));
    for (v1::Job& job : page->jobs) *response->add_jobs() = std::move(job);
    call.ok();
  });
  return call.reactor();
}

grpc::ServerUnaryReactor* SchedulerService::Metrics(Context* context,
                                                    const v1::MetricsRequest* request,
                                                    v1::MetricsResponse* response) {
  const UnaryCall call(parts_, context, "Metrics");
  if (request->names_size() > kSeriesNames || request->max_points() < 0) {
    call.fail(wire::bad_field("names, max_points", "at most 8 names; points >= 0"));
    return call.reactor();
  }
  with_job_id(call, request->job_id(), [this, call, request, response](JobId id, const State&) {
    SeriesQuery query;
    query.job = id;
    query.names = {request->names().begin(), request->names().end()};
    query.max_points = request->max_points() == 0
                           ? kPointsPerSeries
                           : std::min(request->max_points(), kPointsPerSeries);
    read_archive(call, [call, query, response](Archive& archive) {
      if (auto job = archive.job(query.job); !job.ok()) return call.fail(job.error());
      auto all = archive.series(query);
      if (!all.ok()) return call.fail(all.error());
      for (v1::Series& series : *all) *response->add_series() = std::move(series);
      call.ok();
    });
  });
  return call.reactor();
}

grpc::ServerUnaryReactor* SchedulerService::Explain(Context* context,
                                                    const v1::JobRequest* request,
                                                    v1::ExplainResponse* response) {
  const UnaryCall call(parts_, context, "Explain");
  with_job_id(call, request->job_id(), [this, call, response](JobId id, const State& state) {
    const auto live = state.jobs.find(id);
    if (live == state.jobs.end()) return explain_finished(call, id, response);
    *response = to_wire(explain(state, live->second, parts_.config));
    call.ok();
  });
  return call.reactor();
}

void SchedulerService::explain_finished(const UnaryCall& call,
                                        JobId id,
                                        v1::ExplainResponse* response) {
  read_archive(call, [this, call, id, response](Archive& archive) {
    const auto found = archive.job(id);
    if (!found.ok()) return call.fail(found.error());
    auto job = finished_job(*found);
    if (!job.ok()) return call.fail(job.error());
    query(call, [this, call, response, job = std::move(job).value()](const State& state) {
      *response = to_wire(explain(state, job, parts_.config));
      call.ok();
    });
  });
}

grpc::ServerUnaryReactor* SchedulerService::Plan(Context* context,
                                                 const v1::PlanRequest* request,
                                                 v1::PlanResponse* response) {
  const UnaryCall call(parts_, context, "Plan");
  auto spec = parse_spec_json(request->spec_json());
  if (!spec.ok()) {
    call.fail(spec.error());
    return call.reactor();
  }
  query(call, [this, call, response, spec = std::move(spec).value()](const State& state) {
    const Job job = imagined(state, spec, parts_.config);
    const std::vector<llmctl::Plan> plans = candidate_plans(spec, search_room(state, job));
    for (const llmctl::Plan& plan : plans) *response->add_candidates() = to_wire(plan);
    response->set_from_profile(job.fitted);
    if (job.fitted) {
      *response->mutable_chosen() = to_wire(job.plan);
    } else if (!plans.empty()) {
      *response->mutable_chosen() = to_wire(plans.front());
    }
    const ModelConfig& model = spec.model.config;
    response->set_parameters(parameter_count(model));
    response->set_flops_per_token(flops_per_token(model, spec.sequence_len));
    const Placement placement = place(state, job, parts_.config);
    if (const auto* grants = std::get_if<std::vector<Grant>>(&placement)) {
      for (const Grant& grant : *grants) *response->add_placement() = to_wire(grant);
    }
    *response->mutable_explanation() = to_wire(explain(state, job, parts_.config));
    call.ok();
  });
  return call.reactor();
}

grpc::ServerUnaryReactor* SchedulerService::Workers(Context* context,
                                                    const v1::WorkersRequest*,
                                                    v1::WorkersResponse* response) {
  const UnaryCall call(parts_, context, "Workers");
  query(call, [this, call, response](const State& state) { list_workers(call, state, response); });
  return call.reactor();
}

grpc::ServerUnaryReactor* SchedulerService::ServerInfo(Context* context,
                                                       const v1::ServerInfoRequest*,
                                                       v1::ServerInfoResponse* response) {
  const UnaryCall call(parts_, context, "ServerInfo");
  query(call, [this, call, response](const State& state) {
    response->set_version(about_.version);
    response->set_started_unix_ms(about_.started_unix_ms);
    response->set_metrics_port(about_.metrics_port);
    response->set_last_seq(state.last_seq.value);
    response->set_last_job_id(state.last_job.value);
    response->set_jobs_live(static_cast<int64_t>(state.jobs.size()));
    int64_t connected = 0;
    for (const auto& [id, worker] : state.workers) connected += worker.connected ? 1 : 0;
    response->set_workers_connected(connected);
    call.ok();
  });
  return call.reactor();
}

}  // namespace llmctl
