// One line of a trainer's report.jsonl (core/run/run_config.h), read into a value. The line comes
// from another process: anything that is not a known report is `Ignored`, never an error. Pure.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "core/plan/plan.h"
#include "core/run/event.h"

namespace llmctl::worker {

struct Ignored {};  // not a report, or of a kind this worker does not know
struct SaidUp {
  int64_t pid = 0;
};
struct SaidPhase {
  std::string phase;
};
struct SaidData {
  int64_t train_tokens = 0;
  double unigram_entropy = 0;  // nats per token
};
struct SaidEval {
  int64_t step = 0;
  double loss = 0;
};
struct SaidPeak {
  Bytes peak_bytes = 0;
};
struct SaidEnd {
  Outcome outcome = Outcome::crashed;
  std::string detail;
};
using Said = std::variant<Ignored,
                          SaidUp,
                          SaidPhase,
                          SaidData,
                          Progressed,
                          SaidEval,
                          SaidPeak,
                          CheckpointCommitted,
                          CheckpointRemoved,
                          SampleGenerated,
                          ProbeResult,
                          SaidEnd>;

Said parse_report_line(std::string_view line);

}  // namespace llmctl::worker
