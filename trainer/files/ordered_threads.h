// Work on several threads whose results are taken in the order in which it was given: what comes
// out does not depend on the number of threads. `work` runs on one of the threads, `then` on the
// caller's. Bounded: add() waits when all threads have something and a little more lies ready.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base/result.h"

namespace llmctl {

class OrderedThreads {
 public:
  using Work = std::function<void(size_t thread)>;  // thread: 0 .. threads - 1
  using Then = std::function<Status()>;
  explicit OrderedThreads(size_t threads);
  ~OrderedThreads();  // begun work is done, the rest is dropped, no `then` is run

  // The error is that of an older task's `then`; after it nothing more may be added.
  Status add(Work work, Then then);
  Status finish();  // runs what is left

 private:
  struct Task {
    Work work;
    Then then;
    bool done = false;
  };
  void run(size_t thread);
  Status take_oldest();

  const size_t limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;  // by mutex_: oldest first; elements stay where they are
  size_t begun_ = 0;        // by mutex_: of tasks_
  bool closed_ = false;     // by mutex_
  std::vector<std::jthread> threads_;
};

size_t usable_threads(int wanted);  // 0: all that this process may use

}  // namespace llmctl
