#include "trainer/files/ordered_threads.h"

#include <algorithm>

#include "core/base/cpus.h"

namespace llmctl {

static constexpr size_t kReady = 2;  // tasks beyond those the threads have

size_t usable_threads(int wanted) {
  if (wanted > 0) return static_cast<size_t>(wanted);
  return static_cast<size_t>(usable_cpus());
}

OrderedThreads::OrderedThreads(size_t threads) : limit_(threads + kReady) {
  for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this, i] { run(i); });
}

OrderedThreads::~OrderedThreads() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    tasks_.resize(begun_);
  }
  changed_.notify_all();
}

void OrderedThreads::run(size_t thread) {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return closed_ || begun_ < tasks_.size(); });
    if (begun_ >= tasks_.size()) return;
    Task& task = tasks_[begun_++];
    lock.unlock();
    task.work(thread);
    lock.lock();
    task.done = true;
    changed_.notify_all();
  }
}

Status OrderedThreads::add(Work work, Then then) {
  size_t waiting = 0;
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back({std::move(work), std::move(then)});
    waiting = tasks_.size();
  }
  changed_.notify_all();
  return waiting > limit_ ? take_oldest() : ok_status();
}

Status OrderedThreads::take_oldest() {
  Then then;
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return tasks_.front().done; });
    then = std::move(tasks_.front().then);
    tasks_.pop_front();
    --begun_;
  }
  return then();
}

Status OrderedThreads::finish() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (tasks_.empty()) return ok_status();
    }
    TRY(take_oldest());
  }
}

}  // namespace llmctl
