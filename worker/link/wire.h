// Worker messages <-> protobuf, for link.cc and its test. Pure. What comes from the scheduler is
// checked like any input: an error names the field, and the message is then not obeyed at all.
#pragma once

#include "llmctl/v1/fleet.pb.h"
#include "worker/agent/messages.h"

namespace llmctl::worker {

v1::WorkerMessage to_wire(const ToScheduler& message);
Result<FromScheduler> from_wire(const v1::SchedulerMessage& message);

}  // namespace llmctl::worker
