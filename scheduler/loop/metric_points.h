// The points that an event adds to the metric series of its job. Pure.
#pragma once

#include <vector>

#include "core/run/event.h"
#include "scheduler/store/store.h"

namespace llmctl {

std::vector<MetricPoint> metric_points(const Event& event, const CheckpointCommitted& made);
std::vector<MetricPoint> metric_points(const Event& event,
                                       const Progressed& progress,
                                       const Progressed& before);

}  // namespace llmctl
