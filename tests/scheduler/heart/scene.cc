#include "tests/scheduler/heart/scene.h"

#include <algorithm>

namespace llmctl {

JobSpec small_job() {
  JobSpec spec;
  spec.name = "small";
  spec.datasets = {{"/data/text.txt", "text", "text"}};
  ModelConfig model;
  model.hidden_size = 64;
  model.num_hidden_layers = 2;
  model.num_attention_heads = 2;
  spec.sequence_len = 64;
  spec.model.config = resolved(model, kByteVocabSize, spec.sequence_len);
  spec.global_batch_size = 8;
  spec.max_steps = 100;
  return spec;
}

JobSpec gang_job(int64_t ranks) {
  JobSpec spec = small_job();
  spec.resources.ranks = ranks;
  return spec;
}

Inventory cpu_box(Bytes memory, int32_t slots) {
  Inventory inventory;
  inventory.hostname = "box";
  inventory.cpus = 8;
  inventory.ram_total = 2 * memory;
  inventory.devices = {Device{0, "cpu", "", "CPU", memory, 0, slots, true}};
  return inventory;
}

Inventory gpu_box(int gpus, Bytes memory) {
  Inventory inventory = cpu_box(memory);
  inventory.devices.clear();
  for (int i = 0; i < gpus; ++i) {
    inventory.devices.push_back(Device{i, "cuda", "", "RTX 4090", memory, 0, 4, true});
  }
  return inventory;
}

CheckpointCommitted checkpoint_at(int64_t step, int64_t epoch) {
  const std::string path = "e" + std::to_string(epoch) + "-s" + std::to_string(step);
  return {step, step * 512, path, 1'000, 3.0, "hash of " + path};
}

Decision Scene::give(InputBody body) {
  Decision decision = decide(state, Input{now, now, std::move(body)}, config);
  for (const Event& event : decision.events) {
    if (is_durable(event)) {
      EXPECT_EQ(event.seq.value, state.last_seq.value + 1);
    }
    apply(state, event);
    events.push_back(event);
    if (const auto* move = std::get_if<JobMoved>(&event.body)) last_move[event.job] = *move;
  }
  EXPECT_EQ(sanity_problems(state), std::vector<std::string>());
  return decision;
}

void Scene::wait(Millis ms) {
  now += ms;
  tick();
}

WorkerId Scene::hello(const std::string& name,
                      Inventory inventory,
                      std::vector<RunStatus> runs,
                      const std::string& instance) {
  return give(HelloInput{name, instance, std::move(inventory), std::move(runs)}).answer.worker;
}

void Scene::heartbeat(WorkerId worker, std::vector<RunStatus> runs) {
  give(HeartbeatInput{worker, state.workers.at(worker).instance, {}, std::move(runs)});
}

void Scene::report(JobId id, int32_t rank, RankReport report) {
  const Attempt& attempt = *job(id).attempt;
  const WorkerId worker = attempt.grants[static_cast<size_t>(rank)].worker;
  give(ReportInput{worker, id, attempt.epoch, rank, std::move(report)});
}

JobId Scene::submit(JobSpec spec, const std::string& key) {
  SubmitInput input;
  input.spec = std::move(spec);
  input.idempotency_key = key;
  return give(std::move(input)).answer.job;
}

void Scene::probe_ends(JobId id) {
  const WorkerId worker = job(id).attempt->grants.front().worker;
  std::vector<RunStatus> runs = runs_on(worker);
  for (const RunOrder& order : desired_runs(state, worker, config)) {
    if (order.config.job_id != id.value) continue;
    RunStatus& run = *std::find_if(runs.begin(), runs.end(),
                                   [&](const RunStatus& each) { return each.job == id; });
    run.phase = RunStatus::Phase::ended;
    for (const Plan& plan : order.config.candidates) {
      ProbeResult result;
      result.micro_batch_size = plan.micro_batch_size;
      result.gradient_checkpointing = plan.gradient_checkpointing;
      result.peak_bytes = plan.peak_bytes_predicted / 10 * 9;
      result.oom = result.peak_bytes > order.config.memory_cap_bytes;
      result.seconds_per_micro_batch = 0.5 + static_cast<double>(plan.micro_batch_size);
      run.probes.push_back(result);
    }
  }
  heartbeat(worker, runs);
}

void Scene::all_up(JobId id) {
  std::set<WorkerId> workers;
  for (const Grant& grant : job(id).attempt->grants) workers.insert(grant.worker);
  for (const WorkerId worker : workers) heartbeat(worker, runs_on(worker));
}

void Scene::ends(JobId id, int32_t rank, Outcome outcome) {
  const WorkerId worker = job(id).attempt->grants[static_cast<size_t>(rank)].worker;
  std::vector<RunStatus> runs = runs_on(worker);
  for (RunStatus& run : runs) {
    if (run.job != id || run.rank != rank) continue;
    run.phase = RunStatus::Phase::ended;
    run.outcome = outcome;
    run.detail = "as the test wants";
  }
  heartbeat(worker, runs);
}

JobId Scene::running(JobSpec spec) {
  const JobId id = submit(std::move(spec));
  tick();
  if (state_of(id) == JobState::probing) probe_ends(id);
  tick();
  EXPECT_EQ(state_of(id), JobState::starting);
  all_up(id);
  EXPECT_EQ(state_of(id), JobState::running);
  return id;
}

void Scene::keep_alive(Millis ms) {
  for (const Millis end = now + ms; now < end;) {
    now = std::min(end, now + 5'000);
    for (const auto& [id, worker] : State(state).workers) heartbeat(id, runs_on(id));
    tick();
  }
}

JobState Scene::state_of(JobId id) const {
  const auto live = state.jobs.find(id);
  return live == state.jobs.end() ? last_move.at(id).to : live->second.state;
}

std::vector<RunStatus> Scene::runs_on(WorkerId worker) const {
  std::vector<RunStatus> runs;
  for (const RunOrder& order : desired_runs(state, worker, config)) {
    runs.push_back(run(JobId{order.config.job_id}, order.config.rank));
  }
  return runs;
}

RunStatus Scene::run(JobId id, int32_t rank) const {
  RunStatus run;
  run.job = id;
  run.epoch = job(id).epoch;
  run.rank = rank;
  run.phase = RunStatus::Phase::up;
  const Grant& grant = job(id).attempt->grants[static_cast<size_t>(rank)];
  run.device = device_label(grant.device_kind, grant.device_index);
  run.pid = 1'000 + id.value;
  return run;
}

int Scene::count(const char* event) const {
  return static_cast<int>(std::count_if(events.begin(), events.end(), [&](const Event& each) {
    return std::string_view(event_name(each)) == event;
  }));
}

int64_t Scene::promised_ranks() const {
  int64_t ranks = 0;
  for (const auto& [id, load] : state.index.loads) ranks += static_cast<int64_t>(load.ranks.size());
  return ranks;
}

}  // namespace llmctl
