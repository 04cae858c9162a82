// Which plan a probe measures next, so that it finds the best one that fits in the time it has: a
// pure function of what was measured. The least checkpointing that fits wins, since recomputing
// costs more than larger passes gain; of one kind the smallest micro-batch is measured first. Peaks
// are affine in the tokens of a pass, so from there the largest that should fit is known, and
// measured; where that runs out, the field is halved. With time left, the next smaller one is
// timed, too: larger is not always faster. One thread.
#pragma once

#include <optional>
#include <vector>

#include "core/job/job_spec.h"
#include "core/plan/plan.h"

namespace llmctl {

class ProbeSearch {
 public:
  // `candidates`: as candidate_plans() has them. `cap_bytes`: 0: none.
  ProbeSearch(const JobSpec& spec, std::vector<Plan> candidates, Bytes cap_bytes);

  // The next plan; none: nothing is left that decides something, or that can end in time.
  std::optional<Plan> next(double seconds_left) const;
  void add(const ProbeResult& result, double seconds);  // how long measuring took

  bool answers() const;  // has a plan that fits been measured?
  // 30 seconds, or a twentieth of the run as far as its speed is known.
  double budget_seconds() const;

 private:
  struct Measured {
    ProbeResult result;
    Bytes predicted;
    double seconds;
  };
  std::vector<Plan> smallest_first(Checkpointing kind) const;
  std::vector<const Measured*> fitting(Checkpointing kind) const;
  const Measured* find(const Plan& plan) const;
  bool cannot_fit(const Plan& plan) const;
  Bytes expected_peak(const Plan& plan) const;
  double expected_seconds(const Plan& plan) const;
  std::optional<Plan> among(Checkpointing kind, double seconds_left) const;

  const JobSpec& spec_;
  std::vector<Plan> candidates_;
  Bytes cap_bytes_;
  std::vector<Measured> measured_;
};

}  // namespace llmctl
