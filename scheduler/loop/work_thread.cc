#include "scheduler/loop/work_thread.h"

namespace llmctl {
namespace {

constexpr Millis kIdleWait = 60'000;  // a push or close() wakes it earlier
constexpr size_t kTake = 64;

}  // namespace

WorkThread::WorkThread(size_t capacity) : queue_(capacity), thread_([this] { run(); }) {}

WorkThread::~WorkThread() {
  stop();
}

void WorkThread::stop() {
  queue_.close();
  if (thread_.joinable()) thread_.join();
}

void WorkThread::run() {
  while (!queue_.drained()) {
    for (const Work& work : queue_.pop(kTake, kIdleWait)) work();
  }
}

}  // namespace llmctl
