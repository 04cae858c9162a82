// ServerParts: what the scheduler's server is made of, by reference, for every gRPC handler; Server
// owns the parts. Which thread may touch what: the loop any, through post() and query(); the
// archive only the archive thread; hubs only the streams thread.
#pragma once

#include "core/base/clock.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/work_thread.h"
#include "scheduler/store/store.h"

namespace llmctl {

struct ServerParts {
  Loop& loop;
  Archive& archive;
  WorkThread& archive_thread;
  WorkThread& streams;
  const Clock& clock;
  SchedulerMetrics& metrics;
  const SchedulerConfig& config;
  std::string cluster_id;
};

inline Error too_busy() {
  return Error{Code::resource_exhausted, "the scheduler has too much to do", "try again shortly"};
}

}  // namespace llmctl
