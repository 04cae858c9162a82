// WorkThread: a thread that runs posted functions one at a time, in order, so what only they touch
// needs no lock. The scheduler has two: `streams` owns every open stream (watchers, log readers,
// worker connections), `archive` owns the read-only store connection. Who may wait for whom, so
// that nobody waits in a circle: gRPC threads and `archive` may wait for `streams`; `streams` and
// the loop wait for nobody (try_post).
#pragma once

#include <functional>
#include <thread>

#include "scheduler/loop/bounded_queue.h"

namespace llmctl {

class WorkThread {
 public:
  using Work = std::function<void()>;

  explicit WorkThread(size_t capacity);
  ~WorkThread();  // runs what was posted, then ends
  WorkThread(const WorkThread&) = delete;
  WorkThread& operator=(const WorkThread&) = delete;

  bool post(Work work) { return queue_.push(std::move(work)); }
  bool try_post(Work work) { return queue_.try_push(std::move(work)); }
  void stop();  // posts after this fail

 private:
  void run();

  BoundedQueue<Work> queue_;
  std::jthread thread_;
};

}  // namespace llmctl
