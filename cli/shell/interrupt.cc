#include "cli/shell/interrupt.h"

#include <poll.h>

#include <csignal>

namespace llmctl {

static volatile std::sig_atomic_t g_interrupted = 0;

static void on_signal(int) {
  g_interrupted = 1;
}

InterruptGuard::InterruptGuard() {
  g_interrupted = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;  // no SA_RESTART: a sleeping poll() wakes up
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

InterruptGuard::~InterruptGuard() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool InterruptGuard::interrupted() const {
  return g_interrupted != 0;
}

void pause_ms(int ms) {
  poll(nullptr, 0, ms);
}

}  // namespace llmctl
