// Following a job to its end: the event stream from a sequence number on, resumed where it broke
// (a scheduler restart loses nothing). One thread; the sink is called from it.
#pragma once

#include "cli/ask/client.h"
#include "cli/shell/context.h"

namespace llmctl {

class FollowSink {
 public:
  virtual ~FollowSink() = default;
  virtual void on_event(const Event& event) = 0;
  virtual void on_tick() {}                // about ten times a second
  virtual void on_lost() {}                // the stream broke; told once per outage
  virtual void on_back(const JobView&) {}  // it goes on, after an outage
};

struct FollowRequest {
  bool progress = false;
  int64_t from_seq = 0;   // 0: what comes after `job` was read
  Millis timeout_ms = 0;  // 0: none
};

enum class FollowEnd { done, interrupted, timed_out };
struct Followed {
  FollowEnd end = FollowEnd::done;
  JobView job;  // the last that is known
};
// Follows from the present of `job`. Errors: whatever the scheduler refuses; being unreachable is
// not one, it is waited out.
Result<Followed> follow(const Context& context,
                        const JobView& job,
                        const FollowRequest& request,
                        FollowSink& sink);

}  // namespace llmctl
