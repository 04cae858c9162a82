#include "trainer/run/saving/signals.h"

#include <signal.h>
#include <unistd.h>

#include <string_view>

#include "core/run/run_config.h"

namespace llmctl::signals {
namespace {

volatile sig_atomic_t leave = 0, save = 0, in_preparation = 0;
int exit_code_left = 0;  // computed before the handler may need it

// Only async-signal-safe calls.
extern "C" void on_signal(int signal) {
  if (signal == SIGUSR1) {
    save = 1;
    return;
  }
  leave = 1;
  if (in_preparation == 0) return;
  static constexpr std::string_view kLine =
      "{\"type\":\"end\",\"outcome\":\"left\",\"detail\":\"before the first step\"}\n";
  [[maybe_unused]] const ssize_t ignored = write(STDOUT_FILENO, kLine.data(), kLine.size());
  _exit(exit_code_left);
}

}  // namespace

void listen() {
  exit_code_left = exit_code(Outcome::left);
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGUSR1, &action, nullptr);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);
}

void preparing(bool on) {
  in_preparation = on ? 1 : 0;
}
bool leave_requested() {
  return leave != 0;
}
bool take_save_request() {
  const bool asked = save != 0;
  save = 0;
  return asked;
}

}  // namespace llmctl::signals
