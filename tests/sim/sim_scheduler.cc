#include "sim_scheduler.h"

#include <string>
#include <utility>

#include "world.h"

namespace llmctl::sim {

static SchedulerConfig hasty() {
  SchedulerConfig config;
  config.lease_ms = 3'000;
  config.grace_ms = 1'000;
  config.stop_grace_ms = 2'000;
  config.backoff_first_ms = 100;
  config.headroom_min = 1 << 20;
  return config;
}

SimScheduler::Process::Process(SimScheduler& scheduler, World& world)
    : metrics(registry, world.clock(), "sim"),
      fleet(world),
      loop(scheduler.config_,
           scheduler.store_,
           DiskReserve(""),
           world.clock(),
           metrics,
           scheduler.decide_) {}

SimScheduler::SimScheduler(World& world, Decide decide)
    : world_(world),
      decide_([&world, decide = decide ? std::move(decide) : Decide(llmctl::decide)](
                  const State& state, const Input& input, const SchedulerConfig& config) {
        world.checkers().sound(state);
        return decide(state, input, config);
      }),
      config_(hasty()),
      store_(world) {
  start();
}

const State& SimScheduler::state() const {
  static const State kNone;
  return process_ ? process_->loop.state() : kNone;
}

void SimScheduler::ask(InputBody body, Reply reply) {
  if (!process_) return;
  (void)process_->loop.post(
      std::move(body),
      [reply = std::move(reply)](const Answer& answer, const State&) { reply(answer); });
}

void SimScheduler::step() {
  if (!process_) {
    if (world_.now() >= down_until_) start();
    return;
  }
  if (world_.now() < stopped_until_) return;
  if (std::exchange(stopped_until_, 0) != 0) world_.checkers().woke(world_.now());
  process_->fleet.receive(process_->loop);
  try {
    process_->loop.turn(0);
  } catch (const SimStore::Crash&) {
    end();
  }
}

void SimScheduler::crash(bool before_commit) {
  if (!process_) return;
  store_.plan(before_commit ? SimStore::Plan::crash_before_commit
                            : SimStore::Plan::crash_after_commit);
}

void SimScheduler::start() {
  world_.say("scheduler", "starts with " + std::to_string(log().size()) + " events");
  process_ = std::make_unique<Process>(*this, world_);
  CHECK(process_->loop.load().ok());
  process_->loop.begin(*this);
  world_.checkers().woke(world_.now());
}

void SimScheduler::lose_store() {
  if (!process_) return;
  end();
  store_.begin_anew();
  world_.checkers().forget();
}

// Every connection ends with the process; a worker that is cut off hears of it later.
void SimScheduler::end() {
  if (store_.plan() == SimStore::Plan::crash_after_commit) {
    world_.checkers().replayed(state(), store_.replay());
  }
  store_.plan(SimStore::Plan::none);
  process_->fleet.close_all();
  process_.reset();
  down_until_ = world_.now() + world_.random().between(50, 6'000);
}

bool SimScheduler::committed(std::shared_ptr<const std::vector<Event>>) {
  return true;
}

bool SimScheduler::desired(WorkerId worker, std::vector<RunOrder> orders) {
  process_->fleet.send_desired(worker, orders);
  return true;
}

bool SimScheduler::state_reloaded() {
  process_->fleet.close_all();
  return true;
}

}  // namespace llmctl::sim
