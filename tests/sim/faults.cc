#include "faults.h"

#include <cstdint>
#include <map>
#include <string>

#include "world.h"

namespace llmctl::sim {
namespace {

constexpr int kJobs = 10;

JobSpec some_job(World& world) {
  JobSpec spec;
  spec.name = "night";
  spec.datasets = {{"/data", "text", "text"}};
  ModelConfig model;
  model.hidden_size = 256;
  model.num_hidden_layers = world.random().between(2, 3);
  model.num_attention_heads = 4;
  spec.sequence_len = 128;
  spec.model.config = resolved(model, kByteVocabSize, spec.sequence_len);
  spec.resources.ranks = world.random().one_in(3) ? world.random().between(2, 3) : 1;
  spec.global_batch_size = 4 * spec.resources.ranks;
  spec.max_steps = 10 * world.random().between(1, 6);
  spec.priority = world.random().between(0, 100);
  spec.retry.max_restarts = world.random().between(2, 6);
  const bool gang = spec.resources.ranks > 1;  // one machine may have to hold it
  if (gang || world.random().one_in(2)) spec.resources.device = "cpu";
  return spec;
}

SimWorker& some_worker(World& world) {
  const auto last = static_cast<int64_t>(world.workers().size()) - 1;
  return *world.workers()[static_cast<size_t>(world.random().between(0, last))];
}

JobId some_live_job(World& world) {
  const auto& jobs = world.scheduler().state().jobs;
  if (jobs.empty()) return {};
  auto job = jobs.begin();
  std::advance(job, world.random().between(0, static_cast<int64_t>(jobs.size()) - 1));
  return job->first;
}

void hurt_a_run(World& world, SimWorker& worker) {
  auto& runs = worker.host().runs();
  if (runs.empty()) return;
  auto run = runs.begin();
  std::advance(run, world.random().between(0, static_cast<int64_t>(runs.size()) - 1));
  if (!run->second.alive()) return;
  if (world.random().one_in(2)) {
    run->second.hangs = true;
  } else {
    worker.host().crash_run(run->second);
  }
}

void hurt_the_scheduler(World& world) {
  if (world.random().one_in(4)) {
    world.say("fault", "the scheduler begins anew");
    return world.scheduler().lose_store();
  }
  const Millis pause = world.random().between(2'000, 15'000);
  world.say("fault", "the scheduler is stopped for " + std::to_string(pause) + " ms");
  world.scheduler().stop_until(world.now() + pause);
}

}  // namespace

void inject_fault(World& world) {
  if (!world.random().one_in(25)) return;
  SimWorker& worker = some_worker(world);
  const int64_t kind = world.random().between(1, 19);
  if (kind <= 2) {
    world.say("fault", worker.place() + " is cut off");
    worker.cut(true);
  } else if (kind <= 5) {
    worker.cut(false);
  } else if (kind == 6) {
    worker.slow_down(world.random().between(1, 2'500));
  } else if (kind == 7) {
    worker.break_connection();
  } else if (kind == 8) {
    world.say("fault", worker.place() + ": its agent crashes");
    worker.crash_agent();
  } else if (kind == 9) {
    world.say("fault", worker.place() + ": the machine crashes");
    worker.crash_machine(world.random().one_in(2));
  } else if (kind == 10) {
    hurt_a_run(world, worker);
  } else if (kind == 11) {
    world.say("fault", worker.place() + ": somebody refuses its connections");
    worker.reject(true);
  } else if (kind == 12) {
    worker.reject(false);
  } else if (kind == 13) {
    worker.use_memory(world.random().between(0, 256 << 20));
  } else if (kind == 14) {
    hurt_the_scheduler(world);
  } else if (kind == 15 || kind == 16) {
    world.say("fault",
              worker.place() + (kind == 15 ? ": its disk is full" : ": its disk has room"));
    worker.host().fill_disk(kind == 15);
  } else {
    world.say("fault", "the scheduler crashes");
    world.scheduler().crash(world.random().one_in(2));
  }
}

void People::step(World& world) {
  if (!world.faults_over() && submitted_ < kJobs && world.random().one_in(20)) submit(world);
  if (world.random().one_in(10)) {
    for (const auto& [key, spec] : std::map(unanswered_)) send(world, key);
  }
  if (!world.faults_over() && world.random().one_in(30)) meddle(world);
}

void People::submit(World& world) {
  const std::string key = "key-" + std::to_string(++submitted_);
  unanswered_[key] = some_job(world);
  send(world, key);
  if (world.random().one_in(3)) send(world, key);  // the same request twice
}

// The question or its answer may be lost; then it is asked again with the same key.
void People::send(World& world, const std::string& key) {
  if (world.random().one_in(5)) return;
  const bool answer_is_lost = world.random().one_in(5);
  const SubmitInput input{unanswered_.at(key), key, {}, {}, {}, false};
  world.scheduler().ask(input, [this, &world, key, answer_is_lost](const Answer& answer) {
    if (answer_is_lost) return;
    if (answer.error) {
      world.checkers().complain("submit " + key + ": " + answer.error->message);
    } else {
      world.checkers().acknowledged(key, answer.job);
    }
    unanswered_.erase(key);
  });
}

void People::meddle(World& world) {
  const JobId job = some_live_job(world);
  if (!job) return;
  const auto ignore = [](const Answer&) {};
  switch (world.random().between(1, 8)) {
    case 1:
      return world.scheduler().ask(CancelInput{job}, [&world, job](const Answer& answer) {
        if (!answer.error) world.checkers().cancel_acknowledged(job);
      });
    case 2:
    case 3:
      return world.scheduler().ask(PauseInput{job}, ignore);
    case 4:
    case 5:
      return world.scheduler().ask(ResumeInput{job}, ignore);
    case 6:
      return world.scheduler().ask(PriorityInput{job, world.random().between(0, 100)}, ignore);
    case 7:
      return world.scheduler().ask(DrainInput{some_worker(world).name(), true}, ignore);
    default:
      return world.scheduler().ask(DrainInput{some_worker(world).name(), false}, ignore);
  }
}

void People::let_go(World& world) {
  const auto ignore = [](const Answer&) {};
  for (const auto& [id, job] : world.scheduler().state().jobs) {
    if (job.state == JobState::paused) world.scheduler().ask(ResumeInput{id}, ignore);
  }
  for (const auto& [id, worker] : world.scheduler().state().workers) {
    if (worker.draining) world.scheduler().ask(DrainInput{worker.name, false}, ignore);
  }
}

}  // namespace llmctl::sim
