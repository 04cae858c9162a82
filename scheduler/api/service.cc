// The verbs: everything that changes something goes through the loop as an Input.
#include "scheduler/api/service.h"

#include <algorithm>

#include "core/base/limits.h"
#include "proto/checks.h"
#include "proto/convert.h"
#include "scheduler/api/views.h"

namespace llmctl {
namespace {

// The same job again, continuing from what it left: its own checkpoints after those it inherited.
Result<SubmitInput> retry_of(Archive& archive, JobId id) {
  const v1::Job job = TRY(archive.job(id));
  const v1::JobSubmitted submitted = TRY(archive.submission(id));
  SubmitInput input;
  input.spec = TRY(parse_spec_json(job.spec_json()));
  input.retry_of = id;
  for (const v1::InheritedCheckpoint& one : submitted.inherited()) {
    input.inherited.push_back({JobId{one.job_id()}, TRY(from_wire(one.checkpoint()))});
  }
  for (const v1::Checkpoint& checkpoint : job.checkpoints()) {
    input.inherited.push_back({id, TRY(from_wire(checkpoint))});
  }
  return input;
}

}  // namespace

void SchedulerService::query(const UnaryCall& call, Loop::Query run) {
  if (!parts_.loop.query(std::move(run))) call.fail(too_busy());
}

void SchedulerService::read_archive(const UnaryCall& call, std::function<void(Archive&)> read) {
  const bool posted =
      parts_.archive_thread.try_post([this, read = std::move(read)] { read(parts_.archive); });
  if (!posted) call.fail(too_busy());
}

void SchedulerService::with_job_id(const UnaryCall& call, int64_t job_id, WithJob then) {
  if (job_id < 0) return call.fail(wire::bad_field("job_id", "expected >= 0"));
  query(call, [call, job_id, then = std::move(then)](const State& state) {
    const JobId id = job_id == 0 ? state.last_job : JobId{job_id};
    if (id) return then(id, state);
    call.fail(Error{Code::not_found, "there are no jobs yet", "llmctl submit job.yaml"});
  });
}

void SchedulerService::answer_job(const UnaryCall& call,
                                  JobId id,
                                  const State& state,
                                  v1::Job* response) {
  const auto live = state.jobs.find(id);
  if (live != state.jobs.end()) {
    *response = job_view(state, live->second);
    return call.ok();
  }
  read_archive(call, [call, id, response](Archive& archive) {
    auto job = archive.job(id);
    if (!job.ok()) return call.fail(job.error());
    *response = std::move(job).value();
    call.ok();
  });
}

void SchedulerService::change_job(const UnaryCall& call, InputBody input, v1::Job* response) {
  const bool canceling = std::holds_alternative<CancelInput>(input);
  auto reply = [this, call, response, canceling](const Answer& answer, const State& state) {
    if (!answer.error) return answer_job(call, answer.job, state, response);
    if (answer.error->code != Code::not_found) return call.fail(*answer.error);
    answer_ended(call, answer.job, canceling, response);
  };
  if (!parts_.loop.post(std::move(input), std::move(reply))) call.fail(too_busy());
}

void SchedulerService::answer_ended(const UnaryCall& call,
                                    JobId id,
                                    bool canceling,
                                    v1::Job* response) {
  read_archive(call, [call, id, canceling, response](Archive& archive) {
    auto job = archive.job(id);
    if (!job.ok()) return call.fail(job.error());
    const bool already_so = canceling && job->state() == to_string(JobState::canceled);
    if (!already_so) return call.fail(job_has_ended(id, job->state()));
    *response = std::move(job).value();
    call.ok();
  });
}

void SchedulerService::submit(const UnaryCall& call,
                              SubmitInput input,
                              v1::SubmitResponse* response) {
  // What the store keeps is the canonical text, which is longer than what was sent.
  const Status fits = check_spec_size(input.spec.text().size());
  if (!fits.ok()) return call.fail(fits.error());
  auto reply = [this, call, response](const Answer& answer, const State& state) {
    if (answer.error) return call.fail(*answer.error);
    response->set_job_id(answer.job.value);
    response->set_existed(answer.existed);
    const auto live = state.jobs.find(answer.job);
    if (live != state.jobs.end()) {
      response->set_state(to_string(live->second.state));
      return call.ok();
    }
    read_archive(call, [call, id = answer.job, response](Archive& archive) {
      const auto job = archive.job(id);
      if (!job.ok()) return call.fail(job.error());
      response->set_state(job->state());
      call.ok();
    });
  };
  if (!parts_.loop.post(std::move(input), std::move(reply))) call.fail(too_busy());
}

grpc::ServerUnaryReactor* SchedulerService::Submit(Context* context,
                                                   const v1::SubmitRequest* request,
                                                   v1::SubmitResponse* response) {
  const UnaryCall call(parts_, context, "Submit");
  auto key = wire::text("idempotency_key", request->idempotency_key(), limits::kNameBytes);
  auto spec = parse_spec_json(request->spec_json());
  if (!key.ok()) {
    call.fail(key.error());
  } else if (!spec.ok()) {
    call.fail(spec.error());
  } else {
    SubmitInput input;
    input.spec = std::move(spec).value();
    input.idempotency_key = std::move(key).value();
    submit(call, std::move(input), response);
  }
  return call.reactor();
}

grpc::ServerUnaryReactor* SchedulerService::Retry(Context* context,
                                                  const v1::RetryRequest* request,
                                                  v1::SubmitResponse* response) {
  const UnaryCall call(parts_, context, "Retry");
  auto key = wire::text("idempotency_key", request->idempotency_key(), limits::kNameBytes);
  if (!key.ok()) {
    call.fail(key.error());
    return call.reactor();
  }
  const auto retry = [this, call, response, key = std::move(key).value()](JobId id,
                                                                          const State& state) {
    const auto live = state.jobs.find(id);
    if (live != state.jobs.end()) {
      return call.fail(Error{Code::failed_precondition,
                             "job " + id.str() + " is " + to_string(live->second.state) +
                                 "; only a finished job can run again",
                             "llmctl watch " + id.str()});
    }
    read_archive(call, [this, call, id, key, response](Archive& archive) {
      auto input = retry_of(archive, id);
      if (!input.ok()) return call.fail(input.error());
      input->idempotency_key = key;
      submit(call, std::move(input).value(), response);
    });
  };
  with_job_id(call, request->job_id(), retry);
  return call.reactor();
}

grpc::ServerUnaryReactor* SchedulerService::Cancel(Context* context,
                                                   const v1::JobRequest* request,
                                                   v1::Job* response) {
  const UnaryCall call(parts_, context, "Cancel");
  with_job_id(call, request->job_id(), [this, call, response](JobId id, const State&) {
    change_job(call, CancelInput{id}, response);
  });
  return call.reactor();
}

grpc::ServerUnaryReactor* SchedulerService::Pause(Context* context,
                                                  const v1::JobRequest* request,
                                                  v1::Job* response) {
  const UnaryCall call(parts_, context, "Pause");
  with_job_id(call, request->job_id(), [this, call, response](JobId id, const State&) {
    change_job(call, PauseInput{id}, response);
  });
  return call.reactor();
}

grpc::ServerUnaryReactor* SchedulerService::Resume(Context* context,
                                                   const v1::JobRequest* request,
                                                   v1::Job* response) {
  const UnaryCall call(parts_, context, "Resume");
  with_job_id(call, request->job_id(), [this, call, response](JobId id, const State&) {
    change_job(call, ResumeInput{id}, response);
  });
  return call.reactor();
}

grpc::ServerUnaryReactor* SchedulerService::SetPriority(Context* context,
                                                        const v1::SetPriorityRequest* request,
                                                        v1::Job* response) {
  const UnaryCall call(parts_, context, "SetPriority");
  const int64_t priority = request->priority();
  if (priority < 0 || priority > 100) {
    call.fail(wire::bad_field("priority", "expected 0..100, got " + std::to_string(priority)));
    return call.reactor();
  }
  with_job_id(call, request->job_id(), [this, call, response, priority](JobId id, const State&) {
    change_job(call, PriorityInput{id, priority}, response);
  });
  return call.reactor();
}

grpc::ServerUnaryReactor* SchedulerService::Drain(Context* context,
                                                  const v1::DrainRequest* request,
                                                  v1::WorkersResponse* response) {
  const UnaryCall call(parts_, context, "Drain");
  change_worker(call, DrainInput{request->worker(), !request->undo()}, response);
  return call.reactor();
}

grpc::ServerUnaryReactor* SchedulerService::Forget(Context* context,
                                                   const v1::ForgetRequest* request,
                                                   v1::WorkersResponse* response) {
  const UnaryCall call(parts_, context, "Forget");
  change_worker(call, ForgetInput{request->worker()}, response);
  return call.reactor();
}

void SchedulerService::change_worker(const UnaryCall& call,
                                     InputBody input,
                                     v1::WorkersResponse* response) {
  auto reply = [this, call, response](const Answer& answer, const State& state) {
    if (answer.error) return call.fail(*answer.error);
    list_workers(call, state, response);
  };
  if (!parts_.loop.post(std::move(input), std::move(reply))) call.fail(too_busy());
}

void SchedulerService::list_workers(const UnaryCall& call,
                                    const State& state,
                                    v1::WorkersResponse* response) {
  const Millis now = parts_.clock.boot_ms();
  for (const auto& [id, worker] : state.workers) {
    *response->add_workers() = worker_view(state, worker, now);
  }
  call.ok();
}

}  // namespace llmctl
