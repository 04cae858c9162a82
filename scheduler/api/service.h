// The Scheduler service. A handler converts the request, posts it to the thread that owns what it
// needs, and answers from there: State on the loop thread (only durable facts are visible), history
// on the archive thread. Handlers keep nothing; request and response live until the call is
// finished.
#pragma once

#include "llmctl/v1/scheduler.grpc.pb.h"
#include "scheduler/api/unary_call.h"
#include "scheduler/api/watch.h"
#include "scheduler/fleet/log_router.h"
#include "scheduler/loop/server_parts.h"

namespace llmctl {

class SchedulerService final : public v1::Scheduler::CallbackService {
 public:
  struct About {
    std::string version;
    Millis started_unix_ms = 0;
    int32_t metrics_port = 0;
  };
  SchedulerService(ServerParts& parts, WatchHub& watchers, LogRouter& logs, About about)
      : parts_(parts), watchers_(watchers), logs_(logs), about_(std::move(about)) {}

  using Context = grpc::CallbackServerContext;
  using Unary = grpc::ServerUnaryReactor;

  Unary* Submit(Context*, const v1::SubmitRequest*, v1::SubmitResponse*) override;
  Unary* Retry(Context*, const v1::RetryRequest*, v1::SubmitResponse*) override;
  Unary* Cancel(Context*, const v1::JobRequest*, v1::Job*) override;
  Unary* Pause(Context*, const v1::JobRequest*, v1::Job*) override;
  Unary* Resume(Context*, const v1::JobRequest*, v1::Job*) override;
  Unary* SetPriority(Context*, const v1::SetPriorityRequest*, v1::Job*) override;
  Unary* Forget(Context*, const v1::ForgetRequest*, v1::WorkersResponse*) override;
  Unary* Drain(Context*, const v1::DrainRequest*, v1::WorkersResponse*) override;

  Unary* Get(Context*, const v1::JobRequest*, v1::Job*) override;
  Unary* List(Context*, const v1::ListRequest*, v1::ListResponse*) override;
  Unary* Metrics(Context*, const v1::MetricsRequest*, v1::MetricsResponse*) override;
  Unary* Explain(Context*, const v1::JobRequest*, v1::ExplainResponse*) override;
  Unary* Plan(Context*, const v1::PlanRequest*, v1::PlanResponse*) override;
  Unary* Workers(Context*, const v1::WorkersRequest*, v1::WorkersResponse*) override;
  Unary* ServerInfo(Context*, const v1::ServerInfoRequest*, v1::ServerInfoResponse*) override;

  grpc::ServerWriteReactor<v1::Event>* Watch(Context*, const v1::WatchRequest* request) override {
    return watchers_.open(*request);
  }
  grpc::ServerWriteReactor<v1::LogChunk>* Logs(Context*, const v1::LogsRequest* request) override {
    return logs_.open(*request);
  }

 private:
  // `then(id, state)` on the loop thread, with "the newest" resolved; fails the call otherwise.
  using WithJob = std::function<void(JobId, const State&)>;
  void with_job_id(const UnaryCall& call, int64_t job_id, WithJob then);
  // Decides `input` and answers with the job as it is then.
  void change_job(const UnaryCall& call, InputBody input, v1::Job* response);
  void answer_job(const UnaryCall& call, JobId id, const State& state, v1::Job* response);
  // For a job that is not live: it has ended, or never was.
  void answer_ended(const UnaryCall& call, JobId id, bool canceling, v1::Job* response);
  void submit(const UnaryCall& call, SubmitInput input, v1::SubmitResponse* response);
  // Runs on the archive thread; fails the call when that thread has too much to do.
  void read_archive(const UnaryCall& call, std::function<void(Archive&)> read);
  void query(const UnaryCall& call, Loop::Query run);
  void explain_finished(const UnaryCall& call, JobId id, v1::ExplainResponse* response);
  void change_worker(const UnaryCall& call, InputBody input, v1::WorkersResponse* response);
  void list_workers(const UnaryCall& call, const State& state, v1::WorkersResponse* response);

  ServerParts& parts_;
  WatchHub& watchers_;
  LogRouter& logs_;
  const About about_;
};

}  // namespace llmctl
