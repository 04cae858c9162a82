// The files that report_to asks for: read back by TensorBoard, and as CSV.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <sstream>

#include "tests/trainer/python.h"
#include "tests/trainer/scratch.h"
#include "trainer/run/reports/scalar_log.h"
#include "trainer/run/saving/loss_trend.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;

class StoppedClock final : public Clock {
 public:
  Millis boot_ms() const override { return ms_; }
  Millis unix_ms() const override { return 1'700'000'000'000 + ms_; }
  void pass(Millis ms) { ms_ += ms; }

 private:
  Millis ms_ = 1'000;
};

CurvePoint point_at(int64_t step) {
  CurvePoint point = {.step = step, .loss = 5.0 / static_cast<double>(step), .eval_loss = NAN};
  point.learning_rate = 1e-3;
  point.gradient_norms.all = 2;
  point.gradient_norms.of_group = {0.5, 1, 1.5, 0.25, 0};
  return point;
}

class Curves : public ::testing::Test {
 protected:
  void write(int64_t first, int64_t last, int64_t resumed_step) {
    ScalarLog log(clock_);
    ASSERT_TRUE(log.open(scratch_.path(), spec_, resumed_step).ok());
    for (int64_t step = first; step <= last; ++step) {
      clock_.pass(1'000);
      CurvePoint point = point_at(step);
      if (step == 3) point.eval_loss = 2.5;
      ASSERT_TRUE(log.add(point).ok());
    }
  }
  std::vector<std::string> rows() const {
    std::istringstream in(read_file(scratch_.path() / "metrics.csv"));
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
  JobSpec spec_ = [] {
    JobSpec spec;
    spec.report_to = {"tensorboard", "csv"};
    return spec;
  }();
  StoppedClock clock_;
  Scratch scratch_;
};

TEST_F(Curves, AreReadByTensorBoard) {
  const std::string python = python_with("tensorboard");
  if (python.empty()) GTEST_SKIP() << "no Python with tensorboard: set LLMCTL_PYTHON";
  write(1, 5, 0);
  write(4, 6, 3);  // killed after step 5, resumed from a checkpoint of step 3
  const ProgramOutput out =
      run_program(python + " '" LLMCTL_SOURCE_DIR "/tests/trainer/run/reports/read_events.py' " +
                  (scratch_.path() / "tensorboard").string() + " 2>/dev/null");
  ASSERT_EQ(out.code, 0);
  std::map<std::string, std::map<int64_t, double>> curves;
  std::istringstream lines(out.out);
  std::string tag;
  int64_t step = 0;
  double value = 0;
  size_t points = 0;
  for (; lines >> tag >> step >> value; ++points) curves[tag][step] = value;
  ASSERT_EQ(curves["train/loss"].size(), 6u);
  for (int64_t i = 1; i <= 6; ++i) {
    EXPECT_FLOAT_EQ(static_cast<float>(curves["train/loss"][i]),
                    static_cast<float>(point_at(i).loss));
  }
  EXPECT_EQ(curves["eval/loss"], (std::map<int64_t, double>{{3, 2.5}}));
  EXPECT_EQ(curves["grad_norm/mlp"][6], 1.5);
  size_t distinct = 0;
  for (const auto& [name, curve] : curves) distinct += curve.size();
  EXPECT_EQ(points, distinct) << "a step is drawn twice after a resume";
}

TEST_F(Curves, OfAResumedRunAreOneTable) {
  write(1, 5, 0);
  std::ofstream(scratch_.path() / "metrics.csv", std::ios::app) << "6,170";  // torn by a crash
  write(4, 6, 3);
  const auto lines = rows();
  ASSERT_EQ(lines.size(), 7u);
  EXPECT_EQ(lines[0],
            "step,unix_seconds,train/loss,eval/loss,train/learning_rate,train/seconds_per_step,"
            "train/loss_spikes,grad_norm/all,grad_norm/embedding,grad_norm/attention,"
            "grad_norm/mlp,grad_norm/norm,grad_norm/head");
  for (size_t step = 1; step <= 6; ++step) {
    EXPECT_EQ(lines[step].substr(0, 2), std::to_string(step) + ",");
  }
  EXPECT_NE(lines[3].find(",2.5,0.001,"), std::string::npos);
  EXPECT_NE(lines[4].find(",1.25,,0.001,"), std::string::npos);
}

TEST_F(Curves, AreNotMadeUnlessAskedFor) {
  spec_.report_to.clear();
  write(1, 2, 0);
  EXPECT_TRUE(fs::is_empty(scratch_.path()));
}

TEST(LossTrend, CountsWhatStandsOutAndNothingElse) {
  LossTrend trend;
  const auto noisy = [](int step) { return 4.0 - 0.01 * step + 0.1 * std::sin(step * 12.9898); };
  for (int step = 0; step < 100; ++step) EXPECT_FALSE(trend.add(noisy(step))) << step;
  EXPECT_TRUE(trend.add(6.0));
  EXPECT_TRUE(trend.add(6.0)) << "one spike must not hide the next";
  for (int step = 100; step < 200; ++step) EXPECT_FALSE(trend.add(noisy(step))) << step;
  EXPECT_EQ(trend.spikes, 2);
}

}  // namespace
}  // namespace llmctl
