#include "cli/ask/client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>

#include "core/base/limits.h"
#include "core/base/random_hex.h"
#include "llmctl/v1/scheduler.grpc.pb.h"
#include "proto/convert.h"
#include "proto/convert_event.h"

namespace llmctl {

constexpr std::chrono::seconds kCallDeadline{10};      // a local answer takes milliseconds
constexpr int kJobTries = 3;                           // of a call that makes a job
constexpr std::chrono::milliseconds kStreamTick{100};  // redraw and Ctrl-C latency of streams
constexpr std::chrono::milliseconds kStreamEndDeadline{2000};  // after cancelling our side

struct Client::Wire {
  Endpoint endpoint;
  std::unique_ptr<v1::Scheduler::Stub> stub;

  v1::Scheduler::Stub& connected() {
    if (!stub) {
      grpc::ChannelArguments arguments;
      // Of a large fleet, workers and explanations are more than a request may be.
      arguments.SetMaxReceiveMessageSize(static_cast<int>(16 * limits::kMessageBytes));
      arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // clusters are local or on a private net
      stub = v1::Scheduler::NewStub(
          grpc::CreateCustomChannel(endpoint.address, channel_credentials(endpoint), arguments));
    }
    return *stub;
  }

  void authorize(grpc::ClientContext& context) const {
    if (!endpoint.token.empty()) {
      context.AddMetadata("authorization", "Bearer " + endpoint.token);
    }
  }

  Error error_of(const grpc::Status& status) const {
    Error error = call_error(endpoint, status);
    if (status.error_code() == grpc::StatusCode::UNAUTHENTICATED) {
      error.message = "the scheduler at " + endpoint.address +
                      (endpoint.token.empty() ? " wants a token" : " does not accept this token");
      error.hint = "set LLMCTL_TOKEN, or pass --token-file FILE (a local cluster's: HOME/token)";
    }
    if (!error.hint.empty()) return error;
    switch (error.code) {
      case Code::unavailable:
        error.hint = "start a local cluster with `llmctl up`, or set LLMCTL_SERVER=host:port";
        break;
      case Code::deadline_exceeded:
        error.message = "the scheduler at " + endpoint.address + " did not answer in time";
        error.hint = "try again; `llmctl doctor` checks the machine";
        break;
      case Code::not_found:
        error.hint = "`llmctl ls` lists the jobs, `llmctl workers` the workers";
        break;
      default:
        break;
    }
    return error;
  }

  template <class Request, class Response>
  Result<Response> call(grpc::Status (v1::Scheduler::Stub::*method)(grpc::ClientContext*,
                                                                    const Request&,
                                                                    Response*),
                        const Request& request) {
    grpc::ClientContext context;
    authorize(context);
    context.set_deadline(std::chrono::system_clock::now() + kCallDeadline);
    Response response;
    const grpc::Status status = (connected().*method)(&context, request, &response);
    if (!status.ok()) return error_of(status);
    return response;
  }

  // A call that makes a job. When its answer is lost it is made again; a key, its own where none
  // is given, makes them one.
  template <class Request>
  Result<SubmittedView> make_job(grpc::Status (v1::Scheduler::Stub::*method)(grpc::ClientContext*,
                                                                             const Request&,
                                                                             v1::SubmitResponse*),
                                 Request request) {
    const bool own_key = request.idempotency_key().empty();
    if (own_key) request.set_idempotency_key("cli-" + random_hex(16));
    for (int tries = 1;; ++tries) {
      auto response = call(method, request);
      if (response.ok()) {
        return SubmittedView{response->job_id(), response->state(),
                             !own_key && response->existed()};
      }
      const Error& error = response.error();
      const bool lost = error.code == Code::deadline_exceeded || error.code == Code::unavailable;
      if (lost && tries < kJobTries) continue;
      if (error.code != Code::deadline_exceeded) return error;
      return Error{error.code, error.message + "; whether it took the job is not known",
                   "`llmctl ls` shows whether it did"};
    }
  }

  Result<JobView> call_job(grpc::Status (v1::Scheduler::Stub::*method)(grpc::ClientContext*,
                                                                       const v1::JobRequest&,
                                                                       v1::Job*),
                           JobId id);

  template <class Response>
  using PrepareStream = std::function<std::unique_ptr<grpc::ClientAsyncReader<Response>>(
      grpc::ClientContext*, grpc::CompletionQueue*)>;
  template <class Response>
  Status stream(const PrepareStream<Response>& prepare,
                const std::function<bool(const Response*)>& on_item);
};

// One reader, one completion queue, one thread: every wait has a deadline, so Ctrl-C and redraws
// need no second thread. States in order: start, read*, finish.
template <class Response>
Status Client::Wire::stream(const PrepareStream<Response>& prepare,
                            const std::function<bool(const Response*)>& on_item) {
  grpc::ClientContext context;
  authorize(context);
  grpc::CompletionQueue queue;
  auto reader = prepare(&context, &queue);
  int start = 0, read = 0, finish = 0;  // their addresses are the tags
  reader->StartCall(&start);
  Response item;
  grpc::Status status;
  bool stopped = false, finishing = false;
  while (true) {
    void* tag = nullptr;
    bool ok = false;
    const auto wait = finishing ? kStreamEndDeadline : kStreamTick;
    const auto next = queue.AsyncNext(&tag, &ok, std::chrono::system_clock::now() + wait);
    if (next == grpc::CompletionQueue::TIMEOUT) {
      if (!stopped && !on_item(nullptr)) {
        stopped = true;
        context.TryCancel();  // the pending operation comes back with ok = false
      }
      continue;
    }
    if (tag == &finish) break;
    if (ok && tag == &read && !stopped && !on_item(&item)) {
      stopped = true;
      context.TryCancel();
    }
    if (ok) {
      reader->Read(&item, &read);
    } else {
      finishing = true;
      reader->Finish(&status, &finish);
    }
  }
  queue.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue.Next(&tag, &ok)) {
  }
  if (stopped || status.ok()) return ok_status();
  return error_of(status);
}

// ---- wire -> views; what core already converts comes from proto/convert

static Result<JobView> job_view(const v1::Job& job) {
  JobView view;
  view.id = job.id();
  view.name = job.name();
  view.state = job.state();
  view.reason = job.reason();
  view.detail = job.detail();
  view.priority = job.priority();
  view.attempts = job.attempts();
  view.restarts = job.restarts();
  view.epoch = job.epoch();
  view.retry_of = job.retry_of();
  view.spec_json = job.spec_json();
  if (job.has_plan()) view.plan = TRY(from_wire(job.plan()));
  if (job.has_progress()) view.progress = TRY(from_wire(job.progress()));
  if (view.progress.step == 0) {  // nothing is known yet: 0 would read as a perfect loss
    view.progress.loss = view.progress.eval_loss = std::numeric_limits<double>::quiet_NaN();
  }
  if (job.has_sample()) view.sample = TRY(from_wire(job.sample()));
  for (const v1::Checkpoint& checkpoint : job.checkpoints()) {
    view.checkpoints.push_back({TRY(from_wire(checkpoint)), checkpoint.epoch()});
  }
  for (const v1::Rank& rank : job.ranks()) {
    view.ranks.push_back({rank.rank(), rank.worker(), rank.device(), rank.bytes(), rank.up(),
                          rank.gone(), rank.outcome(), rank.pid()});
  }
  view.submitted_unix_ms = job.submitted_unix_ms();
  view.started_unix_ms = job.started_unix_ms();
  view.moved_unix_ms = job.moved_unix_ms();
  view.eta_seconds = job.eta_seconds();
  view.last_seq = job.last_seq();
  return view;
}

static Result<WorkerView> worker_view(const v1::Worker& worker) {
  WorkerView view;
  view.id = worker.id();
  view.name = worker.name();
  view.state = worker.state();
  view.hostname = worker.inventory().hostname();
  view.version = worker.inventory().version();
  view.cpus = worker.inventory().cpus();
  view.ram_total = worker.inventory().ram_total();
  for (const v1::Device& device : worker.inventory().devices()) {
    view.devices.push_back({TRY(from_wire(device)), device.memory_promised(), device.slots_used()});
  }
  view.seen_ms_ago = worker.seen_ms_ago();
  view.job_ids.assign(worker.job_ids().begin(), worker.job_ids().end());
  return view;
}

static Result<std::vector<WorkerView>> worker_views(const v1::WorkersResponse& response) {
  std::vector<WorkerView> views;
  for (const v1::Worker& worker : response.workers()) views.push_back(TRY(worker_view(worker)));
  return views;
}

static ExplanationView explanation_view(const v1::ExplainResponse& response) {
  return {response.headline(),
          {response.evidence().begin(), response.evidence().end()},
          response.next_step()};
}

static v1::JobRequest job_request(JobId id) {
  v1::JobRequest request;
  request.set_job_id(id.value);
  return request;
}

Result<JobView> Client::Wire::call_job(grpc::Status (v1::Scheduler::Stub::*method)(
                                           grpc::ClientContext*, const v1::JobRequest&, v1::Job*),
                                       JobId id) {
  const v1::Job job = TRY(call(method, job_request(id)));
  return job_view(job);
}

// ---- calls

Client::Client(Endpoint endpoint) : wire_(std::make_unique<Wire>()) {
  wire_->endpoint = std::move(endpoint);
}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

Result<SubmittedView> Client::submit(const std::string& spec_json, const std::string& key) {
  v1::SubmitRequest request;
  request.set_spec_json(spec_json);
  request.set_idempotency_key(key);
  return wire_->make_job(&v1::Scheduler::Stub::Submit, std::move(request));
}

Result<PlanView> Client::plan(const std::string& spec_json) {
  v1::PlanRequest request;
  request.set_spec_json(spec_json);
  const v1::PlanResponse response = TRY(wire_->call(&v1::Scheduler::Stub::Plan, request));
  PlanView view;
  for (const v1::Plan& plan : response.candidates()) {
    view.candidates.push_back(TRY(from_wire(plan)));
  }
  view.chosen = TRY(from_wire(response.chosen()));
  view.from_profile = response.from_profile();
  view.parameters = response.parameters();
  view.flops_per_token = response.flops_per_token();
  for (const v1::Grant& grant : response.placement()) {
    view.placement.push_back(TRY(from_wire(grant)));
  }
  view.explanation = explanation_view(response.explanation());
  return view;
}

Result<JobView> Client::get(JobId id) {
  return wire_->call_job(&v1::Scheduler::Stub::Get, id);
}
Result<JobView> Client::cancel(JobId id) {
  return wire_->call_job(&v1::Scheduler::Stub::Cancel, id);
}
Result<JobView> Client::pause(JobId id) {
  return wire_->call_job(&v1::Scheduler::Stub::Pause, id);
}
Result<JobView> Client::resume(JobId id) {
  return wire_->call_job(&v1::Scheduler::Stub::Resume, id);
}

Result<std::vector<JobView>> Client::list(const ListFilter& filter) {
  v1::ListRequest request;
  for (const std::string& state : filter.states) request.add_states(state);
  request.set_name_contains(filter.name_contains);
  for (const auto& [key, value] : filter.labels) (*request.mutable_labels())[key] = value;
  std::vector<JobView> jobs;
  while (jobs.size() < filter.limit) {
    const size_t missing = filter.limit - jobs.size();
    request.set_page_size(
        static_cast<int>(std::min<size_t>(missing, static_cast<size_t>(limits::kPageSize))));
    const v1::ListResponse page = TRY(wire_->call(&v1::Scheduler::Stub::List, request));
    for (const v1::Job& job : page.jobs()) {
      if (job.id() < filter.oldest_id) return jobs;
      jobs.push_back(TRY(job_view(job)));
    }
    if (page.next_page_token().empty() || page.jobs().empty()) break;
    request.set_page_token(page.next_page_token());
  }
  return jobs;
}

Result<ExplanationView> Client::explain(JobId id) {
  const v1::ExplainResponse response =
      TRY(wire_->call(&v1::Scheduler::Stub::Explain, job_request(id)));
  return explanation_view(response);
}

Result<std::vector<SeriesView>> Client::metrics(JobId id,
                                                std::vector<std::string> names,
                                                int max_points) {
  v1::MetricsRequest request;
  request.set_job_id(id.value);
  for (std::string& name : names) request.add_names(std::move(name));
  request.set_max_points(max_points);
  const v1::MetricsResponse response = TRY(wire_->call(&v1::Scheduler::Stub::Metrics, request));
  std::vector<SeriesView> all;
  for (const v1::Series& series : response.series()) {
    SeriesView view{series.name(), {}};
    for (const v1::Point& point : series.points()) {
      view.points.push_back({point.step(), point.unix_ms(), point.value()});
    }
    all.push_back(std::move(view));
  }
  return all;
}

Result<SubmittedView> Client::retry(JobId id) {
  v1::RetryRequest request;
  request.set_job_id(id.value);
  return wire_->make_job(&v1::Scheduler::Stub::Retry, std::move(request));
}

Result<JobView> Client::set_priority(JobId id, int64_t priority) {
  v1::SetPriorityRequest request;
  request.set_job_id(id.value);
  request.set_priority(priority);
  const v1::Job job = TRY(wire_->call(&v1::Scheduler::Stub::SetPriority, request));
  return job_view(job);
}

Result<std::vector<WorkerView>> Client::workers() {
  const v1::WorkersResponse response =
      TRY(wire_->call(&v1::Scheduler::Stub::Workers, v1::WorkersRequest()));
  return worker_views(response);
}

Result<std::vector<WorkerView>> Client::forget(const std::string& worker) {
  v1::ForgetRequest request;
  request.set_worker(worker);
  const v1::WorkersResponse response = TRY(wire_->call(&v1::Scheduler::Stub::Forget, request));
  return worker_views(response);
}

Result<std::vector<WorkerView>> Client::drain(const std::string& worker, bool undo) {
  v1::DrainRequest request;
  request.set_worker(worker);
  request.set_undo(undo);
  const v1::WorkersResponse response = TRY(wire_->call(&v1::Scheduler::Stub::Drain, request));
  return worker_views(response);
}

Result<ServerView> Client::server_info() {
  const v1::ServerInfoResponse info =
      TRY(wire_->call(&v1::Scheduler::Stub::ServerInfo, v1::ServerInfoRequest()));
  return ServerView{info.version(),     info.started_unix_ms(),   info.last_seq(),
                    info.jobs_live(),   info.workers_connected(), info.last_job_id(),
                    info.metrics_port()};
}

Status Client::watch(const WatchQuery& query, const std::function<bool(const Event*)>& on_event) {
  v1::WatchRequest request;
  request.set_job_id(query.job_id);
  request.set_from_seq(query.from_seq);
  request.set_progress(query.progress);
  request.set_until_done(query.until_done);
  request.set_until_now(query.until_now);
  std::optional<Error> unreadable;
  Status ended = wire_->stream<v1::Event>(
      [&](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
        return wire_->connected().PrepareAsyncWatch(context, request, queue);
      },
      [&](const v1::Event* message) {
        if (message == nullptr) return on_event(nullptr);
        const Result<Event> event = from_wire(*message);
        if (event.ok()) return on_event(&*event);
        unreadable = event.error();
        return false;
      });
  if (unreadable) return *unreadable;
  return ended;
}

Status Client::logs(const LogsQuery& query,
                    const std::function<bool(const std::string*)>& on_data) {
  v1::LogsRequest request;
  request.set_job_id(query.job_id);
  request.set_rank(query.rank);
  request.set_epoch(query.epoch);
  request.set_tail_bytes(query.tail_bytes);
  request.set_follow(query.follow);
  return wire_->stream<v1::LogChunk>(
      [&](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
        return wire_->connected().PrepareAsyncLogs(context, request, queue);
      },
      [&](const v1::LogChunk* chunk) {
        return on_data(chunk == nullptr ? nullptr : &chunk->data());
      });
}

}  // namespace llmctl
