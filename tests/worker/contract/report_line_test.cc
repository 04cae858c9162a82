#include "worker/contract/report_line.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/base/limits.h"
#include "core/run/run_config.h"

namespace llmctl::worker {
namespace {

TEST(ReportLine, ReadsBackWhatTheTrainerWrites) {
  Progressed progress;
  progress.step = 12;
  progress.loss = 3.5;
  progress.phase_seconds = {1, 2, 3, 4, 5, 6};
  progress.group_grad_norms = {1, 2, 3, 4, 0};
  progress.loss_spikes = 2;
  const ReportLine step = parse_report_line(to_report(progress).dump());
  ASSERT_TRUE(std::holds_alternative<Progressed>(step));
  EXPECT_EQ(std::get<Progressed>(step).step, 12);
  EXPECT_EQ(std::get<Progressed>(step).phase_seconds, progress.phase_seconds);
  EXPECT_EQ(std::get<Progressed>(step).group_grad_norms, progress.group_grad_norms);
  EXPECT_EQ(std::get<Progressed>(step).loss_spikes, 2);
  CheckpointCommitted checkpoint;
  checkpoint.step = 12;
  checkpoint.path = "e1-s12";
  checkpoint.bytes = 99;
  EXPECT_EQ(std::get<CheckpointCommitted>(parse_report_line(to_report(checkpoint).dump())),
            checkpoint);
  const SampleGenerated sample{12, "To be", ", or \n\u00e9"};
  EXPECT_EQ(std::get<SampleGenerated>(parse_report_line(to_report(sample).dump())), sample);
  const CheckpointRemoved removed{"e1-s6", true};
  EXPECT_EQ(std::get<CheckpointRemoved>(parse_report_line(to_report(removed).dump())), removed);
}

TEST(ReportLine, ReadsUpPhaseEvalPeakAndEnd) {
  EXPECT_EQ(std::get<UpLine>(parse_report_line(R"({"type":"up","pid":17})")).pid, 17);
  EXPECT_EQ(std::get<PhaseLine>(parse_report_line(R"({"type":"phase","phase":"eval"})")).phase,
            "eval");
  const auto data = std::get<DataLine>(parse_report_line(
      R"({"type":"data","train_tokens":900,"validation_tokens":9,"unigram_entropy":5.5})"));
  EXPECT_EQ(data.train_tokens, 900);
  EXPECT_EQ(data.unigram_entropy, 5.5);
  EXPECT_EQ(std::get<EvalLine>(parse_report_line(R"({"type":"eval","step":3,"loss":1.5})")).loss,
            1.5);
  EXPECT_EQ(
      std::get<PeakLine>(parse_report_line(R"({"type":"memory","peak_bytes":77})")).peak_bytes, 77);
  const auto end = std::get<EndLine>(
      parse_report_line(R"({"type":"end","outcome":"oom","detail":"6 GiB asked"})"));
  EXPECT_EQ(end.outcome, Outcome::oom);
  EXPECT_EQ(end.detail, "6 GiB asked");
}

TEST(ReportLine, CutsASampleAtTheLimitBetweenCharacters) {
  std::string text = "x";
  for (Bytes i = 0; i < limits::kSampleBytes; ++i) text += "\u00e9";
  const auto sample =
      std::get<SampleGenerated>(parse_report_line(to_report(SampleGenerated{1, "", text}).dump()));
  EXPECT_EQ(static_cast<Bytes>(sample.text.size()), limits::kSampleBytes - 1);
  EXPECT_TRUE(text.starts_with(sample.text));
}

TEST(ReportLine, IgnoresWhatIsNotAReport) {
  const std::vector<std::string> lines = {
      "",
      "hello",
      "{",
      "[]",
      "{}",
      R"({"type":7})",
      R"({"type":"step"})",
      R"({"type":"step","step":"many"})",
      R"({"type":"step","step":-1})",
      R"({"type":"up","pid":-3})",
      R"({"type":"sample","prompt":"no text"})",
      R"({"type":"step","step":1,"phase_seconds":{"data":"long"}})",
      R"({"type":"end","outcome":"fine"})",
      R"({"type":"checkpoint","step":1,"path":"../../etc"})",
      std::string("{\"type\":\"up\",\"pid\":1}\0junk", 26),
      "{\"type\":\"phase\",\"phase\":\"\xff\xfe\"}",
      R"({"type":"up","pid":1,"x":")" + std::string(limits::kReportLineBytes, 'x') + "\"}",
  };
  for (const std::string& line : lines) {
    EXPECT_TRUE(std::holds_alternative<IgnoredLine>(parse_report_line(line))) << line.substr(0, 80);
  }
}

}  // namespace
}  // namespace llmctl::worker
