// Views with everything in them, as the scheduler could have answered; fixed, for goldens.
#pragma once

#include <cmath>

#include "cli/screen/render.h"

namespace llmctl {

inline constexpr Millis kNow = 1'795'000'000'000;  // 2026-11-18T11:06:40Z

inline Plan sample_plan() {
  Plan plan;
  plan.micro_batch_size = 8;
  plan.gradient_accumulation_steps = 4;
  plan.micro_batch_origin = Origin::measured;
  plan.checkpointing_origin = Origin::preset_default;
  plan.predicted = {44'000'000, 44'000'000, 88'000'000, 300'000'000, 90'000'000, 9'000'000};
  plan.measured = {44'000'000, 44'000'000, 88'000'000, 310'000'000, 95'000'000, 12'000'000};
  plan.peak_bytes_predicted = 575'000'000;
  plan.peak_bytes_measured = 593'000'000;
  plan.seconds_per_step = 0.7;
  plan.tokens_per_second = 11'700;
  return plan;
}

inline JobView running_job() {
  JobView job;
  job.id = 17;
  job.name = "quickstart";
  job.state = "RUNNING";
  job.reason = "all_ranks_up";
  job.priority = 50;
  job.attempts = 1;
  job.epoch = 2;
  job.spec_json = R"({"name":"quickstart"})";
  job.plan = sample_plan();
  job.progress = {.step = 340,
                  .steps = 600,
                  .tokens = 2'785'280,
                  .loss = 3.2131,
                  .eval_loss = 3.4,
                  .learning_rate = 5e-4,
                  .grad_norm = 0.81,
                  .tokens_per_second = 11'700,
                  .seconds_per_step = 0.7,
                  .peak_bytes = 590'000'000,
                  .nonfinite_steps = 0,
                  .phase = "train"};
  job.progress.train_tokens = 1'204'000;
  job.progress.unigram_entropy = 5.832;
  job.progress.mfu = 0.712;
  job.progress.phase_seconds = {1.2, 208.3, 0, 14.9, 0.6, 11.8};
  job.checkpoints = {{{300, 2'457'600, "e2-s300", 132'000'000, 3.31, "aa11"}, 2}};
  job.ranks = {{0, "w1", "cpu:0", 620'000'000, true, false, "", 4242}};
  job.submitted_unix_ms = kNow - 260'000;
  job.started_unix_ms = kNow - 240'000;
  job.moved_unix_ms = kNow - 240'000;
  job.eta_seconds = 182;
  job.last_seq = 91;
  return job;
}

inline JobView queued_job() {
  JobView job;
  job.id = 18;
  job.name = "a-rather-long-name-that-somebody-gave-to-a-sweep-of-learning-rates";
  job.state = "QUEUED";
  job.reason = "submitted";
  job.priority = 80;
  job.progress.loss = job.progress.eval_loss = std::nan("");
  job.submitted_unix_ms = kNow - 5'000;
  job.moved_unix_ms = kNow - 5'000;
  job.last_seq = 95;
  return job;
}

inline JobView failed_job() {
  JobView job = running_job();
  job.id = 3;
  job.name = "broken";
  job.state = "FAILED";
  job.reason = "bad_input";
  job.detail = "data.jsonl:12: field \"text\" is missing";
  job.progress = {};
  job.progress.loss = job.progress.eval_loss = std::nan("");
  job.checkpoints.clear();
  job.ranks.clear();
  job.submitted_unix_ms = kNow - 90'000'000;
  return job;
}

inline std::vector<Event> sample_timeline() {
  const Millis begin = kNow - 260'000;
  const auto event = [&](int64_t seq, Millis after, EventBody body) {
    Event e;
    e.seq = Seq{seq};
    e.unix_ms = begin + after;
    e.job = JobId{17};
    e.body = std::move(body);
    return e;
  };
  JobSpec spec;
  spec.name = "quickstart";
  return {
      event(80, 0, JobSubmitted{spec, "", {}, {}}),
      event(81, 12, JobMoved{JobState::queued, JobState::probing, Reason::needs_probe, "", 0}),
      event(85, 9'000, JobMoved{JobState::probing, JobState::queued, Reason::fitted, "", 0}),
      event(86, 9'000,
            AttemptGranted{AttemptKind::train, {{0, WorkerId{1}, 0, "cpu", 620'000'000, "w1"}}}),
      event(88, 20'100,
            JobMoved{JobState::starting, JobState::running, Reason::all_ranks_up, "", 0}),
      event(91, 230'000, CheckpointCommitted{300, 2'457'600, "e2-s300", 132'000'000, 3.31, ""})};
}

inline std::vector<WorkerView> sample_workers() {
  const Device cpu{0, "cpu", "", "AMD EPYC 7B13 64-Core Processor", Bytes{6} << 30, 0, 2, true};
  const Device gpu{0,       "cuda", "GPU-1", "NVIDIA GeForce RTX 4090", Bytes{24} << 30,
                   1 << 30, 1,      false};
  WorkerView first, second;
  first.id = 1;
  first.name = "w1";
  first.state = "ready";
  first.version = "0.1.0";
  first.devices = {{cpu, 620'000'000, 1}};
  first.seen_ms_ago = 400;
  first.job_ids = {17};
  second.id = 2;
  second.name = "gpu-box-in-the-basement";
  second.state = "draining";
  second.devices = {{gpu, 0, 0}, {gpu, 0, 0}};
  second.devices[1].device.index = 1;
  second.seen_ms_ago = 61'000;
  return {first, second};
}

inline std::vector<SeriesView> sample_series() {
  SeriesView loss{"loss", {}}, eval{"eval_loss", {}};
  for (int step = 1; step <= 40; ++step) {
    loss.points.push_back({step, kNow + step * 700, 5.5 / std::sqrt(step)});
  }
  eval.points = {{20, kNow, 1.5}, {40, kNow + 28'000, std::nan("")}};
  return {loss, eval};
}

inline PlanScreen sample_plan_screen(bool placed) {
  PlanScreen screen;
  screen.plan.candidates = {sample_plan(), sample_plan()};
  screen.plan.chosen = sample_plan();
  screen.plan.chosen.peak_bytes_measured = 0;
  screen.plan.parameters = 11'000'000;
  screen.spec.model.config = resolved(presets().front().config, 2'048, 256);
  screen.plan.flops_per_token = 7.1e7;
  screen.spec.sequence_len = 256;
  screen.spec.resources.device = "cpu";
  if (placed) screen.plan.placement = {{0, WorkerId{1}, 0, "cpu", 620'000'000, "w1"}};
  screen.plan.explanation = {
      placed ? "would start now" : "waiting for memory: needs 5.1 GiB, 2.0 GiB is free on w1",
      {"w1 cpu:0: 2.0 GiB of 6.0 GiB free"},
      placed ? "" : "llmctl watch 17"};
  screen.settings = {{"learning_rate", "0.0003", "given"}, {"seed", "42", "default"}};
  screen.warnings = {"job.yaml:7:1: warning: warmup_steps: longer than a tenth of the run"};
  return screen;
}

}  // namespace llmctl
