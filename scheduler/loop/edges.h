// Edges: what every gRPC handler needs, by reference; built once in Server. Who may touch what:
// the loop through post()/query(), the archive on the archive thread, hubs on the streams thread.
#pragma once

#include "core/base/clock.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/work_thread.h"
#include "scheduler/store/store.h"

namespace llmctl {

struct Edges {
  Loop& loop;
  Archive& archive;
  WorkThread& archive_thread;
  WorkThread& streams;
  const Clock& clock;
  SchedulerMetrics& metrics;
  const SchedulerConfig& config;
};

inline Error too_busy() {
  return Error{Code::resource_exhausted, "the scheduler has too much to do", "try again shortly"};
}

}  // namespace llmctl
