// What people see, pinned as goldens; and the rules every table keeps.
#include "cli/screen/render.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "cli/screen/draw.h"
#include "cli/screen/table.h"
#include "tests/cli/screen/golden.h"
#include "tests/cli/screen/views.h"

namespace llmctl {

static const RenderAt kPlain{{}, kNow};
static const RenderAt kRich{{true, true, true, 80}, kNow};

TEST(Render, ListsJobs) {
  expect_golden("ls.txt", render_jobs({queued_job(), running_job(), failed_job()}, kPlain));
}
TEST(Render, TextOfOthersCannotRuleTheTerminal) {
  EXPECT_EQ(clean("a\x1b[2Jb\xC2\x9B"), "a?[2Jb??");
  EXPECT_EQ(clean("evil\u202Etxt.exe\u2066\u200F"), "evil?txt.exe??") << "text is turned around";
  EXPECT_EQ(clean("\u20AC \u2713 \u00E9"), "\u20AC \u2713 \u00E9") << "and nothing else";
  EXPECT_EQ(clean_lines("one\x07\ntwo"), "one?\ntwo");
}
TEST(Render, ListsJobsInColour) {
  expect_golden("ls_colour.txt", render_jobs({running_job(), failed_job()}, kRich));
}
TEST(Render, ShowsARunningJobOnOneScreen) {
  const std::string screen =
      render_job({running_job(), sample_timeline(), "/home/u/.llmctl/jobs"}, kPlain);
  EXPECT_LE(std::count(screen.begin(), screen.end(), '\n'), 40);
  expect_golden("show_running.txt", screen);
}
TEST(Render, ShowsAQueuedJob) {
  expect_golden("show_queued.txt", render_job({queued_job(), {}, ""}, kPlain));
}
TEST(Render, ShowsAFailedJobWithWhatToDo) {
  expect_golden("show_failed.txt", render_job({failed_job(), {}, ""}, kPlain));
}
TEST(Render, ShowsAPlanThatWouldStart) {
  expect_golden("plan_placed.txt", render_plan(sample_plan_screen(true), kPlain));
}
TEST(Render, ShowsWhatStandsInTheWayOfAPlan) {
  expect_golden("plan_waiting.txt", render_plan(sample_plan_screen(false), kPlain));
}
TEST(Render, ListsWorkersWithEveryDevice) {
  expect_golden("workers.txt", render_workers(sample_workers(), kPlain));
}
TEST(Render, ListsCheckpointsWithWholePaths) {
  const std::string dir(90, 'd');
  const std::string text = render_checkpoints(running_job(), "/" + dir, kPlain);
  EXPECT_NE(text.find("/" + dir + "/17/checkpoints/e2-s300"), std::string::npos);
}
TEST(Render, DrawsMetricsAsSparklines) {
  expect_golden("metrics.txt", render_metrics(sample_series(), kPlain));
  expect_golden("metrics_unicode.txt", render_metrics(sample_series(), kRich));
}
TEST(Render, ExplainsWithHeadlineEvidenceAndNextStep) {
  expect_golden(
      "explain.txt",
      render_explanation({"waiting for memory", {"w1 has 2.0 GiB free"}, "wait"}, kPlain));
}

TEST(Render, NoListIsWiderThanEightyColumns) {
  const std::string all =
      render_jobs({queued_job(), running_job()}, kPlain) +
      render_workers(sample_workers(), kPlain) + render_metrics(sample_series(), kPlain) +
      render_job({running_job(), sample_timeline(), "/j"}, kPlain) +
      render_job({queued_job(), {}, ""}, kPlain) + render_plan(sample_plan_screen(false), kPlain);
  std::istringstream lines(all);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(columns_of(line), 80) << line;
}

TEST(Render, ANameCannotDriveTheTerminal) {
  JobView job = queued_job();
  job.name = "x\x1b[2Jy\r\nz";
  const std::string text = render_jobs({job}, kPlain) + render_job({job, {}, ""}, kPlain);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

TEST(Table, CutsTheMostGivingColumnFirstAndNeverAnId) {
  Table table({{"ID"}, {"A", Column::Align::left, 1}, {"B", Column::Align::left, 2}});
  table.add({"1234567890123456789", std::string(20, 'a'), std::string(30, 'b')});
  const std::string text = table.text({.columns = 60});
  EXPECT_NE(text.find("1234567890123456789"), std::string::npos);
  EXPECT_NE(text.find(std::string(20, 'a')), std::string::npos);
  EXPECT_EQ(text.find(std::string(30, 'b')), std::string::npos);
  EXPECT_NE(text.find("b~"), std::string::npos);
}

TEST(Draw, ABarIsAsWideAsAskedAtEveryShare) {
  for (const bool unicode : {false, true}) {
    for (double share = 0; share <= 1.0; share += 0.01) {
      EXPECT_EQ(columns_of(bar(share, 20, {.unicode = unicode})), 20) << share;
    }
    EXPECT_EQ(columns_of(bar(std::nan(""), 20, {.unicode = unicode})), 20);
  }
}

TEST(Draw, CutCountsCharactersNotBytes) {
  EXPECT_EQ(cut("äöüß", 4, {.unicode = true}), "äöüß");
  EXPECT_EQ(cut("äöüßx", 4, {.unicode = true}), "äöü…");
}

TEST(Draw, ColourNeedsATerminalThatWantsIt) {
  EXPECT_EQ(paint("x", Tone::bad, {.tty = true, .color = false}), "x");
  EXPECT_NE(paint("x", Tone::bad, {.tty = true, .color = true}), "x");
}

TEST(Draw, UnknownNumbersAreADash) {
  EXPECT_EQ(format_loss(std::nan("")), "-");
  EXPECT_EQ(format_eta(0), "-");
  EXPECT_EQ(format_rate(0), "-");
}

}  // namespace llmctl
