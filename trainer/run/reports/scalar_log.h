// ScalarLog: the curves of a run as files of the job's folder, for whoever asks with report_to:
// tensorboard/events.out.tfevents.… (one file per attempt) and metrics.csv (one for the job). Rank
// 0 writes, at most ten records a second and every evaluation. A resumed run
// removes the rows of steps after its checkpoint, so that each file shows one curve. Errors name
// the file. A crash loses one record at most. One thread.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/job/job_spec.h"
#include "trainer/optim/gradient_norm.h"

namespace llmctl {

struct CurvePoint {  // of one step; NaN: none
  int64_t step = 0;
  double loss = 0, eval_loss = 0, learning_rate = 0;
  GradientNorms gradient_norms = {};  // before clipping
  double seconds_per_step = 0;
  int64_t loss_spikes = 0;  // so far
};

class ScalarLog {
 public:
  explicit ScalarLog(const Clock& clock) : clock_(clock) {}
  // `resumed_step`: steps that were done when this attempt began.
  Status open(const std::filesystem::path& job_dir, const JobSpec& spec, int64_t resumed_step);
  bool due() const;  // a tenth of a second has passed since the last record
  Status add(const CurvePoint& point);

 private:
  Status open_tensorboard(const std::filesystem::path& folder, int64_t resumed_step);
  Status open_csv(const std::filesystem::path& file, int64_t resumed_step);

  const Clock& clock_;
  std::filesystem::path events_path_, csv_path_;
  std::ofstream events_, csv_;
  Millis last_boot_ms_ = 0;
};

}  // namespace llmctl
