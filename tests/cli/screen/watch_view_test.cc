#include "cli/screen/watch_view.h"

#include <gtest/gtest.h>

#include "cli/screen/draw.h"
#include "tests/cli/screen/golden.h"
#include "tests/cli/screen/views.h"

namespace llmctl {

static Event event_of(EventBody body, int64_t seq) {
  Event event;
  event.seq = Seq{seq};
  event.job = JobId{17};
  event.epoch = Epoch{2};
  event.body = std::move(body);
  return event;
}

static Event step_event(int64_t step, double eval_loss = std::nan("")) {
  Progressed progress;
  progress.step = step;
  progress.steps = 600;
  progress.loss = 3;
  progress.eval_loss = eval_loss;
  progress.seconds_per_step = 0.5;
  progress.phase = "train";
  return event_of(progress, 0);
}

TEST(WatchView, OnATerminalStepsOnlyChangeTheStatusLine) {
  WatchView view(queued_job(), {.tty = true, .columns = 80});
  EXPECT_TRUE(view.lines_for(step_event(10), 0).empty());
  EXPECT_NE(view.status_line().find("10/600"), std::string::npos);
}

TEST(WatchView, OffATerminalStepsAreThinnedToALineNowAndThen) {
  WatchView view(queued_job(), {});
  size_t lines = 0;
  for (int64_t step = 1; step <= 600; ++step) lines += view.lines_for(step_event(step), 0).size();
  EXPECT_GE(lines, 20u);
  EXPECT_LE(lines, 23u);
}

TEST(WatchView, OffATerminalASlowRunStillShowsLife) {
  WatchView view(queued_job(), {});
  EXPECT_EQ(view.lines_for(step_event(1), 0).size(), 1u);
  EXPECT_EQ(view.lines_for(step_event(2), 100).size(), 0u);
  EXPECT_EQ(view.lines_for(step_event(3), 6'000).size(), 1u);
}

TEST(WatchView, OffATerminalAProbeAndTheRunAfterItBothSayWhereTheyAre) {
  WatchView view(queued_job(), {});
  const auto phase = [&](const char* text) {
    Progressed progress;
    progress.phase = text;
    return view.lines_for(event_of(progress, 0), 0);
  };
  EXPECT_EQ(phase("probe: micro-batch 1, 0 B so far, 30 s left").size(), 1u);
  EXPECT_EQ(phase("probe: micro-batch 1, 1.0 GiB so far, 29 s left").size(), 0u);
  view.lines_for(event_of(JobMoved{JobState::probing, JobState::queued, Reason::fitted, "", 0}, 5),
                 0);
  EXPECT_EQ(view.status_line().find("probe:"), std::string::npos);
  EXPECT_EQ(phase("tokenize 40%").size(), 1u);
}

TEST(WatchView, TheLastEvaluationStaysOnTheScreen) {
  WatchView view(queued_job(), {.tty = true, .columns = 100});
  view.lines_for(step_event(10, 4.25), 0);
  view.lines_for(step_event(11), 0);
  EXPECT_NE(view.status_line().find("eval 4.250"), std::string::npos);
}

TEST(WatchView, EveryDurableEventIsALine) {
  WatchView view(queued_job(), {.tty = true, .columns = 80});
  for (const Event& event : sample_timeline()) EXPECT_EQ(view.lines_for(event, 0).size(), 1u);
  EXPECT_EQ(view.job().state, "RUNNING");
  EXPECT_EQ(view.job().checkpoints.size(), 1u);
}

TEST(WatchView, TheEtaFollowsTheRun) {
  WatchView view(queued_job(), {.tty = true, .columns = 100});
  view.lines_for(step_event(500), 0);
  EXPECT_DOUBLE_EQ(view.job().eta_seconds, 50);
}

TEST(WatchView, TheStatusLineFitsTheTerminal) {
  for (const int columns : {40, 60, 80}) {
    WatchView view(running_job(), {.tty = true, .columns = columns});
    EXPECT_LT(columns_of(view.status_line()), columns);
  }
}

TEST(WatchView, TheEndingTellsResultSampleAndNextCommands) {
  JobView job = running_job();
  job.state = "SUCCEEDED";
  job.reason = "finished";
  job.progress.step = 600;
  job.moved_unix_ms = job.started_unix_ms + 171'000;
  job.sample = SampleGenerated{600, "To", " be\nor not"};
  expect_golden("ending_succeeded.txt", render_ending({job, "/jobs"}, {}));
  expect_golden("ending_failed.txt", render_ending({failed_job(), "/jobs"}, {}));
}

}  // namespace llmctl
