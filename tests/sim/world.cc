#include "world.h"

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "faults.h"

namespace llmctl::sim {
namespace {

constexpr Millis kStep = 50;
constexpr Millis kHealing = 600'000;  // after this much peace every job must have ended
constexpr Bytes kBox = 256 << 20;

}  // namespace

World::World(Options options) : options_(std::move(options)), random_{options_.seed} {
  scheduler_ = std::make_unique<SimScheduler>(*this, options_.decide);
  const int64_t count = random_.between(3, 5);
  for (int64_t i = 1; i <= count; ++i) {
    Inventory inventory;
    inventory.hostname = "host-" + std::to_string(i);
    const auto slots = static_cast<int32_t>(random_.between(1, 3));
    inventory.devices = {Device{0, "cpu", "", "CPU", kBox, 0, slots, true}};
    workers_.push_back(std::make_unique<SimWorker>(*this, "w" + std::to_string(i), inventory));
  }
}

void World::run() {
  People people;
  for (int i = 0; i < options_.steps && checkers_.problems().empty(); ++i) {
    inject_fault(*this);
    people.step(*this);
    step();
  }
  faults_over_ = true;
  const Millis end = now() + kHealing;
  while (now() < end && checkers_.problems().empty()) {
    heal();
    people.step(*this);
    people.let_go(*this);
    step();
    if (everything_ended() && !people.waiting()) break;
  }
  if (checkers_.problems().empty()) checkers_.at_the_end();
}

void World::step() {
  clock_.now += kStep;
  for (const auto& worker : workers_) worker->step();
  check_what_runs();
  scheduler_->step();
}

void World::heal() {
  for (const auto& worker : workers_) worker->heal();
}

bool World::everything_ended() const {
  return scheduler_->up() && scheduler_->state().jobs.empty();
}

void World::check_what_runs() {
  for (const auto& worker : workers_) {
    for (const auto& [key, run] : worker->host().runs()) {
      if (worker->host().works(run)) checkers_.works(key.job, key.epoch);
      if (run.alive()) {
        checkers_.occupies(worker->name(), worker->device(), run.config.memory_cap_bytes);
      }
    }
  }
  checkers_.step_over();
}

// Every third job needs more than its probe has seen.
double World::lie_of(JobId job) const {
  return job.value % 3 == 0 ? 1.3 : 0.95;
}

std::vector<SimRun*> World::gang(JobId job, Epoch epoch) {
  std::vector<SimRun*> ranks;
  for (const auto& worker : workers_) {
    for (auto& [key, run] : worker->host().runs()) {
      if (key.job == job && key.epoch == epoch) ranks.push_back(&run);
    }
  }
  return ranks;
}

void World::say(const std::string& who, const std::string& what) const {
  if (!options_.verbose) return;
  std::printf("%8.2fs  %-12s %s\n", static_cast<double>(now() - 1'000'000) / 1e3, who.c_str(),
              what.c_str());
}

}  // namespace llmctl::sim
