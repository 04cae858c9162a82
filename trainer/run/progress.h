// Progress: the report lines of an attempt about its training: that it is up, steps, spikes of the
// loss, memory, evaluations. Reads the run and changes nothing in it. Owned by the attempt; one
// thread.
#pragma once

#include <string>

#include "trainer/run/prepare.h"
#include "trainer/run/reports/phase_clock.h"
#include "trainer/run/reports/report.h"
#include "trainer/run/training_step.h"

namespace llmctl {

class Progress {
 public:
  // Requires: all three outlive this.
  Progress(const PreparedRun& run, const PhaseClock& phases, Reporter& report);

  void tell_up();  // before the first step: the data and the rank
  void tell_step(const StepResult& result);
  void tell_evaluation();
  void tell(const std::string& phase);  // where training stands
  Progressed snapshot(const std::string& phase) const;

 private:
  void tell_memory();
  double tokens_per_second() const;
  double flops_per_second() const;

  const PreparedRun& run_;
  const PhaseClock& phases_;
  Reporter& report_;
  StepResult last_;               // of the last step
  int64_t steps_of_attempt_ = 0;  // so far
  double seconds_per_step_ = 0;   // smoothed, for people
};

}  // namespace llmctl
