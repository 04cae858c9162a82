#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "cli/app/command_line.h"

int main(int argc, char** argv) {
  using namespace llmctl;
  std::ios::sync_with_stdio(false);
  // Of the trainer that a verb becomes: threads that wait by spinning starve the runs beside it.
  setenv("OMP_WAIT_POLICY", "passive", 0);  // NOLINT(concurrency-mt-unsafe): no thread yet
  const SystemClock clock;
  Context context{read_environment(),
                  OutputFormat::table,
                  std::cout,
                  std::cerr,
                  detect_terminal(STDOUT_FILENO),
                  detect_terminal(STDERR_FILENO),
                  clock};
  return run_cli({argv + 1, argv + argc}, context);
}
