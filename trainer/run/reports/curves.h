// Curves: the ScalarLog of an attempt, for as long as it can be written. A full disk ends the
// curves, which is told once, and not the run. Owned by the attempt; one thread.
#pragma once

#include <optional>

#include "trainer/run/reports/report.h"
#include "trainer/run/reports/scalar_log.h"

namespace llmctl {

class Curves {
 public:
  Curves(const Clock& clock, Reporter& report) : clock_(clock), report_(report) {}
  // Without report_to, or on a rank that does not open them, there are no curves.
  Status open(const std::filesystem::path& job_dir, const JobSpec& spec, int64_t resumed_step);
  bool due() const { return log_ && log_->due(); }
  void draw(const Progressed& now, bool evaluated);  // evaluated: eval_loss is of this step

 private:
  const Clock& clock_;
  Reporter& report_;
  std::optional<ScalarLog> log_;
};

}  // namespace llmctl
