#include "sim_scheduler.h"

#include <cstdint>
#include <string>
#include <variant>

#include "world.h"

namespace llmctl::sim {

SimScheduler::SimScheduler(World& world, Decide decide)
    : world_(world), decide_(decide ? std::move(decide) : Decide(llmctl::decide)) {
  config_.lease_ms = 3'000;
  config_.grace_ms = 1'000;
  config_.stop_grace_ms = 2'000;
  config_.backoff_first_ms = 100;
  config_.headroom_min = 1 << 20;
  state_.started_boot_ms = world.now();
}

void SimScheduler::ask(InputBody body, Reply reply) {
  if (up_) asked_.emplace_back(std::move(body), std::move(reply));
}

void SimScheduler::step() {
  if (!up_) {
    if (world_.now() >= down_until_) restart();
    return;
  }
  Batch batch;
  receive(batch);
  for (auto& [body, reply] : std::exchange(asked_, {})) decide_one(batch, std::move(body), reply);
  if (world_.now() >= tick_at_ || !batch.durable.empty()) {
    decide_one(batch, TickInput{}, nullptr);
    tick_at_ = world_.now() + 250;
  }
  if (crash_ == Crash::before_commit) {
    down_until_ = world_.now() + world_.random().between(50, 6'000);
    up_ = false;
    return;
  }
  commit(batch);
}

void SimScheduler::receive(Batch& batch) {
  for (size_t seat = 0; seat < world_.workers().size(); ++seat) {
    Link& link = world_.workers()[seat]->link();
    if (link.cut) continue;
    const auto back = [this, &link](int64_t connection, ToWorker message) {
      link.down.send(connection, world_.now() + link.slowness_ms, std::move(message));
    };
    for (auto& [connection, message] : link.up.receive(world_.now())) {
      // The edge gives a worker's voice to its newest connection.
      if (connection < link.greeted) continue;
      if (auto* hello = std::get_if<HelloInput>(&message)) {
        link.greeted = connection;
        decide_one(batch, *hello, [this, back, seat, at = connection](const Answer& answer) {
          seat_[answer.worker] = seat;
          back(at, Welcome{answer.worker});
        });
      } else if (auto* heartbeat = std::get_if<Heartbeat>(&message)) {
        const SimWorker& worker = *world_.workers()[seat];
        decide_one(batch,
                   HeartbeatInput{worker.id(), worker.instance(), {}, std::move(heartbeat->runs)},
                   [back, at = connection, number = heartbeat->number](const Answer& answer) {
                     back(at, answer.error ? ToWorker(Closed{}) : ToWorker(Ack{number}));
                   });
      } else {
        decide_one(batch, std::get<ReportInput>(std::move(message)), nullptr);
      }
    }
  }
}

void SimScheduler::decide_one(Batch& batch, InputBody body, const Reply& reply) {
  if (auto* submit = std::get_if<SubmitInput>(&body)) look_up_twin(*submit);
  Decision decision = decide_(state_, Input{world_.now(), world_.now(), std::move(body)}, config_);
  for (const Event& event : decision.events) {
    world_.say("event " + event.seq.str(), event.job.str() + " " + describe(event));
    apply(state_, event);
    if (is_durable(event)) batch.durable.push_back(event);
  }
  if (!decision.events.empty()) world_.checkers().sound(state_);
  batch.sync.merge(decision.sync);
  if (reply) batch.answers.push_back([reply, answer = decision.answer] { reply(answer); });
}

void SimScheduler::look_up_twin(SubmitInput& submit) const {
  if (state_.keys.contains(submit.idempotency_key)) return;
  for (const Event& event : log_) {
    const auto* submitted = std::get_if<JobSubmitted>(&event.body);
    if (submitted == nullptr || submitted->idempotency_key != submit.idempotency_key) continue;
    submit.finished_twin = event.job;
    submit.finished_twin_same_spec = submitted->spec == submit.spec;
  }
}

void SimScheduler::commit(Batch& batch) {
  for (Event& event : batch.durable) {
    world_.checkers().committed(event);
    log_.push_back(std::move(event));
  }
  if (crash_ == Crash::after_commit) {
    world_.checkers().replayed(state_, replay());
    down_until_ = world_.now() + world_.random().between(50, 6'000);
    up_ = false;
    return;
  }
  for (const auto& answer : batch.answers) answer();
  for (const WorkerId id : batch.sync) {
    const auto seat = seat_.find(id);
    if (seat == seat_.end()) continue;
    Link& link = world_.workers()[seat->second]->link();
    link.down.send(link.greeted, world_.now() + link.slowness_ms, desired_runs(state_, id));
  }
}

void SimScheduler::crash(bool before_commit) {
  if (up_) crash_ = before_commit ? Crash::before_commit : Crash::after_commit;
}

void SimScheduler::restart() {
  world_.say("scheduler", "starts again with " + std::to_string(log_.size()) + " events");
  crash_ = Crash::none;
  state_ = replay();
  state_.started_boot_ms = world_.now();
  seat_.clear();
  asked_.clear();
  for (const auto& worker : world_.workers()) {  // every connection ended with the process
    worker->link().greeted = worker->link().connection + 1;
    worker->link().down.lose_all();
    worker->hang_up();
  }
  up_ = true;
}

// As the store folds: jobs that have left State are skipped.
State SimScheduler::replay() const {
  State all;
  for (Event event : log_) {
    event.boot_ms = 0;
    apply(all, event);
  }
  State live;
  for (Event event : log_) {
    event.boot_ms = 0;
    if (!event.job || all.jobs.contains(event.job)) apply(live, event);
  }
  live.profiles = all.profiles;
  live.last_seq = all.last_seq;
  live.last_job = all.last_job;
  return live;
}

}  // namespace llmctl::sim
