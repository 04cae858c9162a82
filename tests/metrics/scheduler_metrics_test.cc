// SchedulerMetrics against hand-made events: what a scrape shows after them.
#include "scheduler/metrics/metrics.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/metrics/scrape.h"

namespace llmctl {
namespace {

using testing::FixedClock;
using testing::samples;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class SchedulerMetricsTest : public ::testing::Test {
 protected:
  void happen(EventBody body, int64_t job = 1) {
    Event event;
    event.unix_ms = clock.unix_ms();
    event.boot_ms = clock.boot_ms();
    event.job = JobId{job};
    event.body = std::move(body);
    metrics.observe(event, state);
  }

  Job& submit(int64_t id = 1) {
    Job& job = state.jobs[JobId{id}];
    job.id = JobId{id};
    JobSpec spec;
    spec.name = "tiny";
    spec.model.preset = "llama-10m";
    job.spec = spec;
    happen(JobSubmitted{}, id);
    return job;
  }

  void move(int64_t id, JobState from, JobState to, Reason reason) {
    if (const auto job = state.jobs.find(JobId{id}); job != state.jobs.end()) {
      job->second.state = to;
    }
    happen(JobMoved{from, to, reason, "", 0}, id);
  }

  void grant(Job& job, AttemptKind kind) {
    job.attempt.emplace();
    job.attempt->kind = kind;
    job.attempt->grants = {{0, WorkerId{7}, 0, "cpu", 1'000, "w7"},
                           {1, WorkerId{7}, 0, "cpu", 500, "w7"}};
    if (kind == AttemptKind::train) ++job.attempts;
    happen(AttemptGranted{kind, job.attempt->grants}, job.id.value);
  }

  void run_job(int64_t id = 1) {
    Job& job = submit(id);
    grant(job, AttemptKind::train);
    move(id, JobState::queued, JobState::starting, Reason::placed);
    move(id, JobState::starting, JobState::running, Reason::all_ranks_up);
  }

  Worker& add_worker(int64_t id) {
    Worker& worker = state.workers[WorkerId{id}];
    worker.id = WorkerId{id};
    worker.connected = true;
    worker.inventory.devices.push_back({});
    return worker;
  }

  static Progressed at_step(int64_t step) {
    Progressed p;
    p.step = step;
    p.steps = 100;
    p.tokens = step * 1'000;
    p.loss = 2.5;
    p.eval_loss = kNan;
    p.seconds_per_step = 0.2;
    p.tokens_per_second = 5'000;
    p.peak_bytes = 1 << 20;
    return p;
  }

  double value(const std::string& sample) {
    const auto all = samples(registry);
    const auto found = all.find(sample);
    return found == all.end() ? -1 : found->second;  // -1: absent; no metric here is negative
  }

  bool job_has_series() {
    return testing::page(registry).find("job_id=\"1\"") != std::string::npos;
  }

  prometheus::Registry registry;
  FixedClock clock;
  State state;
  SchedulerMetrics metrics{registry, clock, "1.2.3"};
};

TEST_F(SchedulerMetricsTest, CountsLiveJobsByState) {
  submit(1);
  submit(2);
  run_job(3);
  move(2, JobState::queued, JobState::canceled, Reason::user_canceled);
  EXPECT_EQ(value("llmctl_jobs{state=\"queued\"}"), 1);
  EXPECT_EQ(value("llmctl_jobs{state=\"running\"}"), 1);
  EXPECT_EQ(value("llmctl_jobs{state=\"paused\"}"), 0);
  EXPECT_EQ(value("llmctl_jobs_ended_total{state=\"canceled\"}"), 1);
  EXPECT_EQ(value("llmctl_jobs_ended_total{state=\"failed\"}"), 0);
}

TEST_F(SchedulerMetricsTest, ARestartedSchedulerCountsTheJobsItFinds) {
  run_job(1);
  submit(2);
  state.jobs[JobId{2}].moved_unix_ms = clock.unix_ms();
  prometheus::Registry anew;
  SchedulerMetrics restarted(anew, clock, "1.2.3");
  clock.advance(3'000);
  restarted.load(state);
  auto all = samples(anew);
  EXPECT_EQ(all["llmctl_jobs{state=\"queued\"}"], 1);
  EXPECT_EQ(all["llmctl_jobs{state=\"running\"}"], 1);
  EXPECT_EQ(all["llmctl_queue_oldest_wait_seconds"], 3);
  EXPECT_EQ(all["llmctl_job_state{job_id=\"1\",state=\"running\"}"], 1);
}

TEST_F(SchedulerMetricsTest, OldestWaitIsOfTheJobQueuedFirstAndZeroForNone) {
  submit(1);
  clock.advance(5'000);
  submit(2);
  clock.advance(1'000);
  metrics.refresh(state);
  EXPECT_EQ(value("llmctl_queue_oldest_wait_seconds"), 6);
  move(1, JobState::queued, JobState::starting, Reason::placed);
  metrics.refresh(state);
  EXPECT_EQ(value("llmctl_queue_oldest_wait_seconds"), 1);
  move(2, JobState::queued, JobState::paused, Reason::user_paused);
  metrics.refresh(state);
  EXPECT_EQ(value("llmctl_queue_oldest_wait_seconds"), 0);
  EXPECT_EQ(value("llmctl_job_queue_duration_seconds_count"), 1);
  EXPECT_EQ(value("llmctl_job_queue_duration_seconds_sum"), 6);
}

TEST_F(SchedulerMetricsTest, ComparesPredictionWithProbeOncePerProbe) {
  Job& job = submit();
  grant(job, AttemptKind::probe);
  clock.advance(2'000);
  happen(ProbeMeasured{});
  job.plan.peak_bytes_predicted = 900;
  job.plan.peak_bytes_measured = 1'000;
  happen(JobPlanned{job.plan});
  happen(JobPlanned{job.plan});  // a smaller plan after an OOM is no probe
  EXPECT_EQ(value("llmctl_probe_duration_seconds_sum"), 2);
  EXPECT_EQ(value("llmctl_probe_prediction_error_ratio_count"), 1);
  EXPECT_NEAR(value("llmctl_probe_prediction_error_ratio_sum"), 0.1, 1e-9);
}

TEST_F(SchedulerMetricsTest, CountsFailuresByReasonAndNotWhatPeopleWanted) {
  run_job();
  move(1, JobState::running, JobState::recovering, Reason::worker_lost);
  move(1, JobState::recovering, JobState::queued, Reason::backoff_over);
  move(1, JobState::queued, JobState::canceled, Reason::user_canceled);
  EXPECT_EQ(value("llmctl_job_failures_total{reason=\"worker_lost\"}"), 1);
  EXPECT_EQ(value("llmctl_job_failures_total{reason=\"oom\"}"), 0);
  EXPECT_EQ(value("llmctl_job_failures_total{reason=\"user_canceled\"}"), -1);
  EXPECT_EQ(value("llmctl_train_restarts_total{job_id=\"1\"}"), 1);
  EXPECT_EQ(value("llmctl_scheduler_decisions_total{reason=\"worker_lost\",result=\"recovering\"}"),
            1);
}

TEST_F(SchedulerMetricsTest, TellsWorkersAndDevicesByCondition) {
  add_worker(7);
  add_worker(8).draining = true;
  add_worker(9).lost = true;
  add_worker(10).connected = false;
  Worker& gpus = add_worker(11);
  gpus.inventory.devices[0].kind = "cuda";
  gpus.inventory.devices[0].healthy = false;
  run_job();
  metrics.refresh(state);
  EXPECT_EQ(value("llmctl_workers{state=\"ready\"}"), 2);
  EXPECT_EQ(value("llmctl_workers{state=\"drained\"}"), 1);
  EXPECT_EQ(value("llmctl_workers{state=\"lost\"}"), 1);
  EXPECT_EQ(value("llmctl_workers{state=\"disconnected\"}"), 1);
  EXPECT_EQ(value("llmctl_devices{kind=\"cpu\",state=\"busy\"}"), 1);
  EXPECT_EQ(value("llmctl_devices{kind=\"cpu\",state=\"lost\"}"), 1);
  EXPECT_EQ(value("llmctl_devices{kind=\"cuda\",state=\"unhealthy\"}"), 1);
  state.jobs.clear();
  metrics.refresh(state);
  EXPECT_EQ(value("llmctl_devices{kind=\"cpu\",state=\"busy\"}"), 0);
}

TEST_F(SchedulerMetricsTest, AQueuedJobHasNoSeriesOfItsOwn) {
  submit();
  EXPECT_FALSE(job_has_series());
}

TEST_F(SchedulerMetricsTest, SeriesOfAJobEndFiveMinutesAfterIt) {
  run_job();
  happen(at_step(1));
  EXPECT_TRUE(job_has_series());
  state.jobs.clear();  // a finished job leaves State at once
  move(1, JobState::running, JobState::succeeded, Reason::finished);
  clock.advance(5 * 60'000 - 1);
  metrics.refresh(state);
  EXPECT_TRUE(job_has_series());
  EXPECT_EQ(value("llmctl_job_state{job_id=\"1\",state=\"succeeded\"}"), 1);
  clock.advance(1);
  metrics.refresh(state);
  EXPECT_FALSE(job_has_series()) << testing::page(registry);
}

TEST_F(SchedulerMetricsTest, ShowsWhereAJobRunsOnlyWhileItRuns) {
  run_job();
  const char* placed =
      "llmctl_job_device_promised_bytes{device=\"cpu:0\",job_id=\"1\",worker_id=\"7\"}";
  EXPECT_EQ(value(placed), 1'500);  // two ranks share the device
  state.jobs[JobId{1}].attempt.reset();
  happen(RankGone{});
  EXPECT_EQ(value(placed), -1);
}

TEST_F(SchedulerMetricsTest, ExportsNoNan) {
  run_job();
  Progressed p = at_step(3);
  p.loss = kNan;
  p.grad_norm = std::numeric_limits<double>::infinity();
  happen(p);
  EXPECT_EQ(value("llmctl_train_step{job_id=\"1\"}"), 3);
  const std::string page = testing::page(registry);
  EXPECT_EQ(page.find("llmctl_train_loss{"), std::string::npos);
  EXPECT_EQ(page.find("llmctl_eval_loss{"), std::string::npos);
  EXPECT_EQ(page.find("llmctl_train_grad_norm{"), std::string::npos);
  p.loss = 2;
  happen(p);
  EXPECT_EQ(value("llmctl_train_loss{job_id=\"1\"}"), 2);
}

TEST_F(SchedulerMetricsTest, CountsEveryStepOnceThoughReportsSkipSome) {
  run_job();
  happen(at_step(1));
  happen(at_step(9));
  happen(at_step(9));
  EXPECT_EQ(value("llmctl_train_step_duration_seconds_count{job_id=\"1\"}"), 9);
  EXPECT_NEAR(value("llmctl_train_step_duration_seconds_sum{job_id=\"1\"}"), 1.8, 1e-9);
  EXPECT_EQ(value("llmctl_train_step_duration_seconds_bucket{job_id=\"1\",le=\"0.1\"}"), 0);
  EXPECT_EQ(value("llmctl_train_step_duration_seconds_bucket{job_id=\"1\",le=\"0.25\"}"), 9);
}

TEST_F(SchedulerMetricsTest, TokensCountWorkDoneAlsoWhenRepeated) {
  run_job();
  happen(at_step(50));
  happen(at_step(0));   // the next attempt prepares
  happen(at_step(41));  // resumed at 40
  happen(at_step(60));
  EXPECT_EQ(value("llmctl_train_tokens_total{job_id=\"1\"}"), 50'000 + 19'000);
}

TEST_F(SchedulerMetricsTest, WorkFromBeforeARestartIsNotCountedAsNew) {
  run_job();
  prometheus::Registry anew;
  SchedulerMetrics restarted(anew, clock, "1.2.3");
  Job& job = state.jobs[JobId{1}];
  job.checkpoints.push_back({});
  restarted.load(state);
  Event event;
  event.job = job.id;
  event.body = at_step(70);
  restarted.observe(event, state);
  event.body = at_step(72);
  restarted.observe(event, state);
  EXPECT_EQ(samples(anew)["llmctl_train_tokens_total{job_id=\"1\"}"], 2'000);
}

TEST_F(SchedulerMetricsTest, RemembersTheNewestCheckpoint) {
  run_job();
  happen(CheckpointCommitted{40, 40'000, "e1-s40", 4'096, 2.5, ""});
  EXPECT_EQ(value("llmctl_checkpoint_size_bytes{job_id=\"1\"}"), 4'096);
  EXPECT_EQ(value("llmctl_checkpoint_last_success_step{job_id=\"1\"}"), 40);
  EXPECT_EQ(value("llmctl_checkpoint_last_success_timestamp_seconds{job_id=\"1\"}"), 1.7e9);
  happen(CheckpointRemoved{"e1-s40", true});
  happen(CheckpointRemoved{"e1-s20", false});
  EXPECT_EQ(value("llmctl_checkpoints_total{job_id=\"1\",result=\"corrupt\"}"), 1);
}

TEST_F(SchedulerMetricsTest, ACheckpointWithoutADurationShowsNone) {
  run_job();
  happen(CheckpointCommitted{40, 40'000, "e1-s40", 4'096, 2.5, "", 1.5});
  EXPECT_EQ(value("llmctl_checkpoint_duration_seconds{job_id=\"1\"}"), 1.5);
  happen(CheckpointCommitted{60, 60'000, "e1-s60", 4'096, 2.5, "", 0});
  EXPECT_EQ(value("llmctl_checkpoint_duration_seconds{job_id=\"1\"}"), -1);
}

TEST_F(SchedulerMetricsTest, PhasesAddUpOverAttempts) {
  run_job();
  Progressed p = at_step(10);
  p.mfu = 0.5;
  p.phase_seconds = {1, 20, 0, 3, 0, 0};
  happen(p);
  p = at_step(5);  // another attempt
  p.phase_seconds = {0.5, 10, 0, 1.5, 0, 0};
  happen(p);
  p = at_step(10);
  p.phase_seconds = {1.5, 25, 0, 3.5, 0, 2};
  happen(p);
  const auto phase = [&](const std::string& name) {
    return value("llmctl_train_phase_duration_seconds_total{job_id=\"1\",phase=\"" + name + "\"}");
  };
  EXPECT_EQ(phase("data"), 1 + 1);
  EXPECT_EQ(phase("compute"), 20 + 15);
  EXPECT_EQ(phase("optimizer"), 3 + 2);
  EXPECT_EQ(phase("eval"), 2);
  EXPECT_EQ(phase("communication"), 0);
}

TEST_F(SchedulerMetricsTest, GroupsOfParametersHaveTheirOwnNorms) {
  run_job();
  Progressed p = at_step(10);
  p.group_grad_norms = {0.5, 2, 3, 0.25, 0};  // tied: no head of its own
  happen(p);
  const auto norm = [&](const std::string& group) {
    return value("llmctl_train_group_grad_norm{group=\"" + group + "\",job_id=\"1\"}");
  };
  EXPECT_EQ(norm("embedding"), 0.5);
  EXPECT_EQ(norm("norm"), 0.25);
  EXPECT_EQ(norm("head"), -1);
  p.group_grad_norms[0] = kNan;
  happen(p);
  EXPECT_EQ(norm("embedding"), -1);
  EXPECT_EQ(norm("mlp"), 3);
}

TEST_F(SchedulerMetricsTest, SpikesAreCountedOnceAcrossAttempts) {
  run_job();
  const auto spikes = [&] { return value("llmctl_train_loss_spikes_total{job_id=\"1\"}"); };
  EXPECT_EQ(spikes(), 0);
  for (const int64_t total : {2, 2, 3, 2, 4}) {  // the fourth is of a resumed attempt
    Progressed p = at_step(10 + total);
    p.loss_spikes = total;
    happen(p);
  }
  EXPECT_EQ(spikes(), 3 + 2);
}

TEST_F(SchedulerMetricsTest, AnUnknownMfuHasNoSeries) {
  run_job();
  Progressed p = at_step(10);
  happen(p);
  EXPECT_EQ(value("llmctl_train_mfu_ratio{job_id=\"1\"}"), -1);
  p.mfu = 0.71;
  happen(p);
  EXPECT_EQ(value("llmctl_train_mfu_ratio{job_id=\"1\"}"), 0.71);
}

TEST_F(SchedulerMetricsTest, TooManyJobsMeanFewerSeriesNotMoreMemory) {
  for (int64_t id = 1; id <= 1'001; ++id) run_job(id);
  EXPECT_EQ(value("llmctl_job_series_refused_total"), 1);
  EXPECT_EQ(value("llmctl_jobs{state=\"running\"}"), 1'001);
  move(5, JobState::running, JobState::failed, Reason::oom);
  run_job(2'000);  // takes the place of the one that ended
  EXPECT_EQ(value("llmctl_job_series_refused_total"), 1);
  EXPECT_EQ(value("llmctl_job_state{job_id=\"2000\",state=\"running\"}"), 1);
  EXPECT_EQ(value("llmctl_job_state{job_id=\"5\",state=\"failed\"}"), -1);
}

TEST_F(SchedulerMetricsTest, PageObeysThePrometheusRules) {
  add_worker(7);
  Job& job = submit();
  JobSpec evil = *job.spec;
  evil.name = "\xff\xfe evil \" name\n";
  job.spec = evil;
  grant(job, AttemptKind::probe);
  happen(ProbeMeasured{});
  job.plan.peak_bytes_predicted = job.plan.peak_bytes_measured = 10;
  happen(JobPlanned{job.plan});
  grant(job, AttemptKind::train);
  move(1, JobState::queued, JobState::starting, Reason::placed);
  Progressed p = at_step(5);
  p.eval_loss = 2;
  happen(p);
  happen(CheckpointCommitted{5, 5'000, "e1-s5", 4'096, 2.5, ""});
  move(1, JobState::starting, JobState::recovering, Reason::oom);
  metrics.cycle_done(0.001);
  metrics.store_written(0.002);
  metrics.rpc_done("Submit", Code::ok, 0.003);
  metrics.rpc_done("Get", Code::not_found, 0.001);
  metrics.refresh(state);
  testing::expect_clean_page(testing::page(registry));
}

}  // namespace
}  // namespace llmctl
