#include "proto/convert_event.h"

#include "proto/checks.h"
#include "proto/convert.h"

namespace llmctl {
namespace {

std::optional<AttemptKind> parse_attempt_kind(std::string_view text) {
  for (const AttemptKind kind : {AttemptKind::probe, AttemptKind::train}) {
    if (text == to_string(kind)) return kind;
  }
  return std::nullopt;
}

// One overload per alternative of EventBody, in its order.
struct Writer {
  v1::Event& out;

  void operator()(const JobSubmitted& body) const {
    auto& to = *out.mutable_job_submitted();
    to.set_spec_json(wire::utf8(body.spec.text()));
    to.set_idempotency_key(wire::utf8(body.idempotency_key));
    to.set_retry_of(body.retry_of.value);
    for (const InheritedCheckpoint& one : body.inherited) {
      auto& inherited = *to.add_inherited();
      inherited.set_job_id(one.job.value);
      *inherited.mutable_checkpoint() = to_wire(one.checkpoint);
    }
  }
  void operator()(const JobMoved& body) const {
    auto& to = *out.mutable_job_moved();
    to.set_from(to_string(body.from));
    to.set_to(to_string(body.to));
    to.set_reason(to_string(body.reason));
    to.set_detail(wire::detail(body.detail));
    to.set_backoff_ms(body.backoff_ms);
  }
  void operator()(const JobPlanned& body) const {
    *out.mutable_job_planned()->mutable_plan() = to_wire(body.plan);
  }
  void operator()(const PriorityChanged& body) const {
    out.mutable_priority_changed()->set_priority(body.priority);
  }
  void operator()(const AttemptGranted& body) const {
    auto& to = *out.mutable_attempt_granted();
    to.set_kind(to_string(body.kind));
    for (const Grant& grant : body.grants) *to.add_grants() = to_wire(grant);
  }
  void operator()(const AttemptStopping& body) const {
    auto& to = *out.mutable_attempt_stopping();
    to.set_checkpoint(body.checkpoint);
    to.set_reason(to_string(body.reason));
  }
  void operator()(const RankGone& body) const {
    auto& to = *out.mutable_rank_gone();
    to.set_rank(body.rank);
    to.set_outcome(to_string(body.outcome));
    to.set_detail(wire::detail(body.detail));
  }
  void operator()(const ProbeMeasured& body) const {
    auto& to = *out.mutable_probe_measured();
    to.set_profile_key(wire::utf8(body.profile_key));
    for (const ProbeResult& result : body.results) *to.add_results() = to_wire(result);
    to.set_cap_bytes(body.cap_bytes);
  }
  void operator()(const CheckpointCommitted& body) const {
    *out.mutable_checkpoint_committed() = to_wire(body);
  }
  void operator()(const CheckpointRemoved& body) const {
    *out.mutable_checkpoint_removed() = to_wire(body);
  }
  void operator()(const SampleGenerated& body) const {
    *out.mutable_sample_generated() = to_wire(body);
  }
  void operator()(const WorkerRegistered& body) const {
    auto& to = *out.mutable_worker_registered();
    to.set_name(wire::utf8(body.name));
    to.set_instance(wire::utf8(body.instance));
    *to.mutable_inventory() = to_wire(body.inventory);
  }
  void operator()(const WorkerDrained& body) const {
    out.mutable_worker_drained()->set_drain(body.drain);
  }
  void operator()(const WorkerLost& body) const {
    out.mutable_worker_lost()->set_detail(wire::detail(body.detail));
  }
  void operator()(const WorkerSeen& body) const {
    auto& to = *out.mutable_worker_seen();
    to.set_connected(body.connected);
    for (const Device& device : body.devices) *to.add_devices() = to_wire(device);
    for (const std::string& label : body.leftovers) to.add_leftovers(wire::utf8(label));
  }
  void operator()(const WorkerForgotten& body) const {
    out.mutable_worker_forgotten()->set_name(wire::utf8(body.name));
  }
  void operator()(const WorkerHeld& body) const {
    out.mutable_worker_held()->set_detail(wire::detail(body.detail));
  }
  void operator()(const RankUp& body) const {
    out.mutable_rank_up()->set_rank(body.rank);
    out.mutable_rank_up()->set_pid(body.pid);
  }
  void operator()(const Progressed& body) const { *out.mutable_progressed() = to_wire(body); }
};

Result<InheritedCheckpoint> read(const v1::InheritedCheckpoint& body) {
  InheritedCheckpoint out;
  out.job.value = TRY(wire::at_least("job_id", body.job_id(), int64_t{1}));
  out.checkpoint = TRY(wire::inside("checkpoint", from_wire(body.checkpoint())));
  return out;
}

Result<JobSubmitted> read(const v1::JobSubmitted& body) {
  JobSubmitted out;
  out.spec = SharedSpec::stored(body.spec_json());
  out.idempotency_key =
      TRY(wire::text("idempotency_key", body.idempotency_key(), limits::kNameBytes));
  out.retry_of.value = TRY(wire::at_least("retry_of", body.retry_of(), int64_t{0}));
  out.inherited = TRY(wire::list("inherited", body.inherited(), limits::kInheritedCheckpoints,
                                 [](const v1::InheritedCheckpoint& one) { return read(one); }));
  return out;
}

Result<JobMoved> read(const v1::JobMoved& body) {
  JobMoved out;
  out.from = TRY(wire::enumerator("from", body.from(), parse_job_state));
  out.to = TRY(wire::enumerator("to", body.to(), parse_job_state));
  out.reason = TRY(wire::enumerator("reason", body.reason(), parse_reason));
  out.detail = TRY(wire::text("detail", body.detail()));
  out.backoff_ms = TRY(wire::at_least("backoff_ms", body.backoff_ms(), int64_t{0}));
  return out;
}

Result<JobPlanned> read(const v1::JobPlanned& body) {
  return JobPlanned{TRY(wire::inside("plan", from_wire(body.plan())))};
}

Result<PriorityChanged> read(const v1::PriorityChanged& body) {
  return PriorityChanged{body.priority()};
}

Result<AttemptGranted> read(const v1::AttemptGranted& body) {
  AttemptGranted out;
  out.kind = TRY(wire::enumerator("kind", body.kind(), parse_attempt_kind));
  out.grants = TRY(wire::list("grants", body.grants(), limits::kRanks,
                              [](const v1::Grant& grant) { return from_wire(grant); }));
  return out;
}

Result<AttemptStopping> read(const v1::AttemptStopping& body) {
  return AttemptStopping{body.checkpoint(),
                         TRY(wire::enumerator("reason", body.reason(), parse_reason))};
}

Result<RankGone> read(const v1::RankGone& body) {
  RankGone out;
  out.rank = TRY(wire::at_least("rank", body.rank(), 0));
  out.outcome = TRY(wire::enumerator("outcome", body.outcome(), parse_outcome));
  out.detail = TRY(wire::text("detail", body.detail()));
  return out;
}

Result<ProbeMeasured> read(const v1::ProbeMeasured& body) {
  ProbeMeasured out;
  out.profile_key = TRY(wire::text("profile_key", body.profile_key()));
  out.results = TRY(wire::list("results", body.results(), limits::kProbeCandidates,
                               [](const v1::ProbeResult& result) { return from_wire(result); }));
  out.cap_bytes = TRY(wire::at_least("cap_bytes", body.cap_bytes(), int64_t{0}));
  return out;
}

Result<WorkerRegistered> read(const v1::WorkerRegistered& body) {
  WorkerRegistered out;
  out.name = TRY(wire::text("name", body.name(), limits::kNameBytes));
  out.instance = TRY(wire::text("instance", body.instance(), limits::kNameBytes));
  out.inventory = TRY(wire::inside("inventory", from_wire(body.inventory())));
  return out;
}

Result<WorkerDrained> read(const v1::WorkerDrained& body) {
  return WorkerDrained{body.drain()};
}

Result<WorkerForgotten> read(const v1::WorkerForgotten& body) {
  return WorkerForgotten{TRY(wire::text("name", body.name()))};
}

Result<WorkerHeld> read(const v1::WorkerHeld& body) {
  return WorkerHeld{TRY(wire::text("detail", body.detail()))};
}

Result<WorkerLost> read(const v1::WorkerLost& body) {
  return WorkerLost{TRY(wire::text("detail", body.detail()))};
}

Result<WorkerSeen> read(const v1::WorkerSeen& body) {
  WorkerSeen out;
  out.connected = body.connected();
  out.devices = TRY(wire::list("devices", body.devices(), limits::kDevicesPerWorker,
                               [](const v1::Device& device) { return from_wire(device); }));
  if (body.leftovers_size() > limits::kRunsPerWorker)
    return wire::bad_field("leftovers", "too many");
  for (const std::string& label : body.leftovers()) {
    out.leftovers.insert(TRY(wire::text("leftovers", label, limits::kNameBytes)));
  }
  return out;
}

Result<RankUp> read(const v1::RankUp& body) {
  return RankUp{TRY(wire::at_least("rank", body.rank(), 0)),
                TRY(wire::at_least("pid", body.pid(), int64_t{0}))};
}

template <class T>
Result<EventBody> as_body(const char* field, Result<T> body) {
  if (!body.ok()) return wire::inside(field, std::move(body).error());
  return EventBody(std::move(body).value());
}

Result<EventBody> body_of(const v1::Event& event) {
  switch (event.body_case()) {
    case v1::Event::kJobSubmitted:
      return as_body("job_submitted", read(event.job_submitted()));
    case v1::Event::kJobMoved:
      return as_body("job_moved", read(event.job_moved()));
    case v1::Event::kJobPlanned:
      return as_body("job_planned", read(event.job_planned()));
    case v1::Event::kPriorityChanged:
      return as_body("priority_changed", read(event.priority_changed()));
    case v1::Event::kAttemptGranted:
      return as_body("attempt_granted", read(event.attempt_granted()));
    case v1::Event::kAttemptStopping:
      return as_body("attempt_stopping", read(event.attempt_stopping()));
    case v1::Event::kRankGone:
      return as_body("rank_gone", read(event.rank_gone()));
    case v1::Event::kProbeMeasured:
      return as_body("probe_measured", read(event.probe_measured()));
    case v1::Event::kCheckpointCommitted:
      return as_body("checkpoint_committed", from_wire(event.checkpoint_committed()));
    case v1::Event::kCheckpointRemoved:
      return as_body("checkpoint_removed", from_wire(event.checkpoint_removed()));
    case v1::Event::kSampleGenerated:
      return as_body("sample_generated", from_wire(event.sample_generated()));
    case v1::Event::kWorkerRegistered:
      return as_body("worker_registered", read(event.worker_registered()));
    case v1::Event::kWorkerDrained:
      return as_body("worker_drained", read(event.worker_drained()));
    case v1::Event::kWorkerLost:
      return as_body("worker_lost", read(event.worker_lost()));
    case v1::Event::kWorkerSeen:
      return as_body("worker_seen", read(event.worker_seen()));
    case v1::Event::kWorkerForgotten:
      return as_body("worker_forgotten", read(event.worker_forgotten()));
    case v1::Event::kWorkerHeld:
      return as_body("worker_held", read(event.worker_held()));
    case v1::Event::kRankUp:
      return as_body("rank_up", read(event.rank_up()));
    case v1::Event::kProgressed:
      return as_body("progressed", from_wire(event.progressed()));
    case v1::Event::BODY_NOT_SET:
      break;
  }
  return wire::bad_field("body", "missing or of a newer version");
}

}  // namespace

v1::Event to_wire(const Event& event) {
  v1::Event out;
  out.set_seq(event.seq.value);
  out.set_unix_ms(event.unix_ms);
  out.set_job_id(event.job.value);
  out.set_epoch(event.epoch.value);
  out.set_worker_id(event.worker.value);
  std::visit(Writer{out}, event.body);
  return out;
}

Result<Event> from_wire(const v1::Event& event) {
  Event out;
  out.seq.value = TRY(wire::at_least("seq", event.seq(), int64_t{0}));
  out.unix_ms = TRY(wire::at_least("unix_ms", event.unix_ms(), int64_t{0}));
  out.job.value = TRY(wire::at_least("job_id", event.job_id(), int64_t{0}));
  out.epoch.value = TRY(wire::at_least("epoch", event.epoch(), int64_t{0}));
  out.worker.value = TRY(wire::at_least("worker_id", event.worker_id(), int64_t{0}));
  out.body = TRY(body_of(event));
  return out;
}

}  // namespace llmctl
