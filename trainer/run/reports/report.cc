#include "trainer/run/reports/report.h"

#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "core/base/json_reader.h"
#include "core/base/limits.h"

namespace llmctl {

static constexpr Millis kStepInterval = 100, kPhaseInterval = 1'000;
static constexpr Millis kPulseInterval = limits::kHangTimeout / 12;

Reporter::Reporter(int fd, const Clock& clock) : fd_(fd), clock_(clock) {}

void Reporter::line(const nlohmann::json& line) {
  line_boot_ms_ = clock_.boot_ms();
  const std::string text = dump_json(line) + "\n";
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = write(fd_, text.data() + done, text.size() - done);
    if (n < 0 && errno != EINTR) return;  // nobody listens: train on
    if (n > 0) done += static_cast<size_t>(n);
  }
}

void Reporter::phase(const std::string& phase) {
  if (phase == phase_ && clock_.boot_ms() - line_boot_ms_ < kPhaseInterval) return;
  phase_ = phase;
  line({{"type", "phase"}, {"phase", phase}});
}

void Reporter::step(const Progressed& progress) {
  phase_ = progress.phase;
  held_back_ = progress;
  if (clock_.boot_ms() - step_boot_ms_ >= kStepInterval) flush();
}

void Reporter::flush() {
  if (!held_back_) return;
  line(to_report(*held_back_));
  held_back_.reset();
  step_boot_ms_ = line_boot_ms_;
}

void Reporter::pulse() {
  if (clock_.boot_ms() - line_boot_ms_ < kPulseInterval) return;
  line({{"type", "phase"}, {"phase", phase_}});
}

void Reporter::end(Outcome outcome, const std::string& detail) {
  flush();
  line({{"type", "end"}, {"outcome", to_string(outcome)}, {"detail", detail}});
}

}  // namespace llmctl
