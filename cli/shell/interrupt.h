// Ctrl-C as a flag, for verbs that follow something: they look at it between reads, detach and say
// that the job goes on. Verbs that only ask keep the default (the process ends). One instance per
// process at a time; the handler only sets a flag.
#pragma once

namespace llmctl {

class InterruptGuard {
 public:
  InterruptGuard();   // takes SIGINT and SIGTERM
  ~InterruptGuard();  // gives them back
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  bool interrupted() const;
};

// Sleeps, shorter when a signal arrives.
void pause_ms(int ms);

}  // namespace llmctl
