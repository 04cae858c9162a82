#include "trainer/run/saving/signals.h"

#include <signal.h>
#include <unistd.h>

#include <string_view>

#include "core/run/run_config.h"
#include "trainer/files/mapped_file.h"

namespace llmctl::signals {
namespace {

volatile sig_atomic_t leave = 0, save = 0, in_preparation = 0;
// Computed before a handler may need them.
int exit_code_left = 0, exit_code_bad_input = 0, exit_code_crashed = 0;

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

void say(std::string_view text) {
  [[maybe_unused]] const ssize_t ignored = write(STDOUT_FILENO, text.data(), text.size());
}

// A page of a mapped file is gone, since somebody made the file shorter. With data of people that
// is their input; what is ours is made again in the next attempt.
extern "C" void on_lost_page(int, siginfo_t* info, void*) {
  const MappedPage page = mapped_page_at(info->si_addr);
  if (page.name == nullptr) {
    signal(SIGBUS, SIG_DFL);  // something else: it happens again, and ends the process
    return;
  }
  say("\n{\"type\":\"end\",\"outcome\":\"");
  say(page.input ? "bad_input" : "crashed");
  say("\",\"detail\":\"");
  say(page.name);
  say(" became shorter while it was read\"}\n");
  _exit(page.input ? exit_code_bad_input : exit_code_crashed);
}

}  // namespace

void listen() {
  exit_code_left = exit_code(Outcome::left);
  exit_code_bad_input = exit_code(Outcome::bad_input);
  exit_code_crashed = exit_code(Outcome::crashed);
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGUSR1, &action, nullptr);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);
  struct sigaction lost_page = {};
  lost_page.sa_sigaction = on_lost_page;
  lost_page.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &lost_page, nullptr);
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
