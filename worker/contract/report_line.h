// One line of a trainer's report.jsonl (core/run/run_config.h), read into a value. The line comes
// from another process: anything that is not a known report is `IgnoredLine`, never an error. Pure.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "core/plan/plan.h"
#include "core/run/event.h"

namespace llmctl::worker {

struct IgnoredLine {};  // not a report, or of a kind this worker does not know
struct UpLine {
  int64_t pid = 0;
};
struct PhaseLine {
  std::string phase;
};
struct DataLine {
  int64_t train_tokens = 0;
  double unigram_entropy = 0;  // nats per token
};
struct EvalLine {
  int64_t step = 0;
  double loss = 0;
};
struct PeakLine {
  Bytes peak_bytes = 0;
};
struct EndLine {
  Outcome outcome = Outcome::crashed;
  std::string detail;
};
using ReportLine = std::variant<IgnoredLine,
                                UpLine,
                                PhaseLine,
                                DataLine,
                                Progressed,
                                EvalLine,
                                PeakLine,
                                CheckpointCommitted,
                                CheckpointRemoved,
                                SampleGenerated,
                                ProbeResult,
                                EndLine>;

ReportLine parse_report_line(std::string_view line);

}  // namespace llmctl::worker
