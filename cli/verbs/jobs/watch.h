// Watching one job to its end on this terminal; `watch` and `submit --watch` are this.
#pragma once

#include "cli/screen/view.h"
#include "cli/shell/context.h"

namespace llmctl {

struct WatchOptions {
  bool progress = true;
  int64_t from_seq = 0;  // 0: from the present
};
// The exit code of the job's end, or 130 when the reader left first.
Result<int> watch_job(Context& context, const JobView& job, const WatchOptions& options);

}  // namespace llmctl
