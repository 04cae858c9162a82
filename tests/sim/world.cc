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
constexpr Bytes kGpu = 2LL << 30;  // a process takes a quarter before its first tensor

}  // namespace

World::World(Options options) : options_(std::move(options)), random_{options_.seed} {
  scheduler_ = std::make_unique<SimScheduler>(*this, options_.decide);
  const int64_t count = random_.between(3, 5);
  const bool shared = !random_.one_in(3);  // one jobs folder for all machines
  for (int64_t i = 1; i <= count; ++i) add_worker(i, i, shared);
  if (!random_.one_in(3)) return;
  add_worker(count + 1, 1, shared);
  cloned_ = workers_.back().get();
}

void World::add_worker(int64_t machine, int64_t name, bool shared_folder) {
  Inventory inventory;
  inventory.hostname = inventory.place = "host-" + std::to_string(machine);
  inventory.jobs_folder = shared_folder ? "shared" : "of " + inventory.place;
  const auto slots = static_cast<int32_t>(machine == 1 ? 3 : random_.between(1, 3));
  inventory.devices = {Device{0, "cpu", "", "CPU", kBox, 0, slots, true}};
  for (int32_t i = 0; machine % 2 == 0 && i < slots; ++i) {
    inventory.devices.push_back(Device{i, "cuda", "", "GPU", kGpu, 0, 2, true});
  }
  workers_.push_back(
      std::make_unique<SimWorker>(*this, "w" + std::to_string(name), std::move(inventory)));
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
  if (cloned_ != nullptr) cloned_->rename("w1-too");
  scheduler_->stop_until(0);
  for (const auto& worker : workers_) worker->heal();
}

bool World::everything_ended() const {
  return scheduler_->up() && scheduler_->state().jobs.empty();
}

void World::check_what_runs() {
  for (const auto& worker : workers_) {
    for (const auto& [key, run] : worker->host().runs()) {
      if (worker->host().works(run)) checkers_.works(run.config.cluster_id, key.job, key.epoch);
      if (run.alive()) {
        const Device& device = worker->device(run.config.device);
        checkers_.occupies(worker->place(), device, run.config.memory_cap_bytes);
      }
    }
  }
  checkers_.step_over();
}

// Every third job needs more than its probe has seen.
double World::lie_of(JobId job) const {
  return job.value % 3 == 0 ? 1.3 : 0.95;
}

std::vector<SimRun*> World::gang(const SimRun& of) {
  std::vector<SimRun*> ranks;
  for (const auto& worker : workers_) {
    for (auto& [key, run] : worker->host().runs()) {
      const RunConfig& config = run.config;
      const bool same = config.cluster_id == of.config.cluster_id &&
                        config.job_id == of.config.job_id && config.epoch == of.config.epoch;
      if (same) ranks.push_back(&run);
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
