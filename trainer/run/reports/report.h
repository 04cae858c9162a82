// Report lines of a trainer: one JSON object per line on standard output (core/run/run_config.h).
// Steps are reported at most ten times a second, and the last one always; a pulse keeps a long
// silence from looking like a hang. One thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/run/run_config.h"

namespace llmctl {

class Reporter {
 public:
  Reporter(int fd, const Clock& clock);
  void line(const nlohmann::json& line);
  void phase(const std::string& phase);  // when it changes, or a second after the last line
  void step(const Progressed& progress);
  void flush();  // the last step, when it was held back
  void pulse();  // a line when there was none for a while
  void end(Outcome outcome, const std::string& detail);

 private:
  int fd_;
  const Clock& clock_;
  std::string phase_;
  std::optional<Progressed> held_back_;
  Millis step_boot_ms_ = 0, line_boot_ms_ = 0;
};

}  // namespace llmctl
