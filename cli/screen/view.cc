#include "cli/screen/view.h"

#include "core/job/job_state.h"

namespace llmctl {

bool is_done(const JobView& job) {
  const std::optional<JobState> state = parse_job_state(job.state);
  return state.has_value() && is_terminal(*state);
}

}  // namespace llmctl
