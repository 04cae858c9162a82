// decide_bench: how fast the heart is with 1,000 workers and 100,000 queued jobs. One JSON line
// per figure. Everything is decided and applied, as the loop does, without a store.
#include <chrono>
#include <cstdio>
#include <vector>

#include "scheduler/heart/decide.h"

namespace llmctl {
namespace {

constexpr int kWorkers = 1'000;
constexpr int kJobs = 100'000;
constexpr Bytes kBox = Bytes{64} << 30;

JobSpec job(int number) {
  JobSpec spec;
  spec.name = "job-" + std::to_string(number);
  spec.datasets = {{"/data/text.txt", "text", "text"}};
  ModelConfig model;
  model.hidden_size = 256;
  model.num_hidden_layers = 2 + number % 8;  // eight kinds, each with its own probe
  model.num_attention_heads = 4;
  spec.model.config = resolved(model, kByteVocabSize, spec.sequence_len);
  spec.max_steps = 1'000;
  spec.priority = number % 100;
  return spec;
}

Inventory box() {
  Inventory inventory;
  inventory.hostname = "box";
  inventory.devices = {Device{0, "cpu", "", "CPU", kBox, 0, 4, true}};
  return inventory;
}

class Bench {
 public:
  void run() {
    for (int i = 1; i <= kWorkers; ++i) give(HelloInput{"w" + std::to_string(i), "1", box(), {}});
    std::vector<SharedSpec> specs;  // made by the threads that read requests, not by the heart
    specs.reserve(kJobs);
    for (int i = 0; i < kJobs; ++i) specs.emplace_back(job(i));
    print("decide_submit_per_second", kJobs / seconds([&] { submit_all(specs); }));
    const double first = seconds([this] { give(TickInput{}); });
    print("decide_first_schedule_pass_ms", first * 1e3);
    for (int i = 0; i < 8; ++i) run_what_was_granted();  // probes, then every slot
    print("jobs_running", static_cast<double>(state_.index.live.size()));
    const double pass = seconds([this] { run_passes(100); });
    print("decide_schedule_pass_ms", pass / 100 * 1e3);
    const double ends = seconds([this] { end_and_place(500); });
    print("decide_end_and_place_ms", ends / 500 * 1e3);
    print("decide_heartbeat_per_second", 20 * kWorkers / seconds([this] { beat(20); }));
  }

 private:
  template <class Work>
  static double seconds(Work work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  static void print(const char* name, double value) {
    std::printf("{\"name\":\"%s\",\"value\":%.3f,\"workers\":%d,\"queued\":%d}\n", name, value,
                kWorkers, kJobs);
  }

  void give(InputBody body) {
    const Decision decision = decide(state_, Input{now_, now_, std::move(body)}, config_);
    for (const Event& event : decision.events) apply(state_, event);
  }

  void submit_all(const std::vector<SharedSpec>& specs) {
    SubmitInput input;
    for (size_t i = 0; i < specs.size(); ++i) {
      input.spec = specs[i];
      input.idempotency_key = "key-" + std::to_string(i);
      give(input);
    }
  }

  // What the worker says of all it should run: probes have ended, ranks are up.
  std::vector<RunStatus> statuses(WorkerId worker) {
    std::vector<RunStatus> runs;
    for (const RunOrder& order : desired_runs(state_, worker, config_)) {
      RunStatus run;
      run.job = JobId{order.config.job_id};
      run.epoch = Epoch{order.config.epoch};
      run.rank = order.config.rank;
      run.phase = RunStatus::Phase::up;
      for (const Plan& plan : order.config.candidates) {
        run.phase = RunStatus::Phase::ended;
        ProbeResult result;
        result.micro_batch_size = plan.micro_batch_size;
        result.gradient_checkpointing = plan.gradient_checkpointing;
        result.peak_bytes = plan.peak_bytes_predicted;
        result.seconds_per_micro_batch = 1;
        run.probes.push_back(result);
      }
      runs.push_back(run);
    }
    return runs;
  }

  void run_what_was_granted() {
    for (int i = 1; i <= kWorkers; ++i) {
      give(HeartbeatInput{WorkerId{i}, "1", {}, statuses(WorkerId{i})});
    }
    for (int i = 0; i < 4; ++i) give(TickInput{});
  }

  void run_passes(int count) {
    for (int i = 0; i < count; ++i) give(TickInput{});
  }

  void beat(int rounds) {
    std::vector<std::vector<RunStatus>> runs;
    for (int i = 1; i <= kWorkers; ++i) runs.push_back(statuses(WorkerId{i}));
    for (int round = 0; round < rounds; ++round) {
      for (int i = 1; i <= kWorkers; ++i) {
        give(HeartbeatInput{WorkerId{i}, "1", {}, runs[static_cast<size_t>(i - 1)]});
      }
    }
  }

  // A job ends and the next one takes its place: the steady state of a full cluster.
  void end_and_place(int count) {
    for (int i = 1; i <= count; ++i) {
      std::vector<RunStatus> runs = statuses(WorkerId{i});
      if (runs.empty()) continue;
      runs.front().phase = RunStatus::Phase::ended;
      give(HeartbeatInput{WorkerId{i}, "1", {}, runs});
      give(TickInput{});
    }
  }

  State state_;
  SchedulerConfig config_;
  Millis now_ = 1'000'000;
};

}  // namespace
}  // namespace llmctl

int main() {
  llmctl::Bench().run();
}
