// What `watch` shows of a job, apart from how: fed with events and the time, it gives plain lines
// to print and one status line to redraw. Pure; unit-tested without a terminal or a scheduler.
#pragma once

#include <string>
#include <vector>

#include "cli/screen/render.h"

namespace llmctl {

class WatchView {
 public:
  WatchView(JobView job, Terminal terminal) : job_(std::move(job)), terminal_(terminal) {}

  // Lines to print for this event: state changes, plan, checkpoints; off a terminal also progress,
  // now and then.
  std::vector<std::string> lines_for(const Event& event, Millis now_boot_ms);
  std::string status_line() const;  // fits one line of the terminal
  void replace(const JobView& job) { job_ = job; }
  const JobView& job() const { return job_; }

 private:
  bool progress_is_due(Millis now_boot_ms) const;

  JobView job_;
  Terminal terminal_;
  Millis shown_boot_ms_ = 0;  // when the last progress line was printed
  int64_t shown_step_ = -1;
};

// The end of a followed job: result, checkpoint, sample, and the next commands to try.
struct Ending {
  JobView job;
  std::string jobs_dir;
};
std::string render_ending(const Ending& ending, const Terminal& terminal);

}  // namespace llmctl
