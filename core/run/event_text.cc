// describe(Event): the plain line of `show` and `watch`, one function per kind of event.
#include <algorithm>
#include <cmath>

#include "core/base/utf8.h"
#include "core/run/event.h"

namespace llmctl {

static std::string with_detail(const std::string& line, const std::string& detail) {
  return detail.empty() ? line : line + ": " + detail;
}

static std::string printed(const char* pattern, double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, pattern, value);
  return buffer;
}

std::string place_of(const Grant& grant) {
  return (grant.worker_name.empty() ? "worker " + grant.worker.str() : grant.worker_name) + " " +
         device_label(grant.device_kind, grant.device_index);
}

static std::string line(const JobSubmitted& e) {
  std::string text = "submitted \"" + e.spec->name + "\"";
  if (e.retry_of) text += ", continues job " + e.retry_of.str();
  return text;
}

static std::string line(const JobMoved& e) {
  std::string text =
      std::string(to_string(e.from)) + " -> " + to_string(e.to) + " (" + to_string(e.reason) + ")";
  if (e.backoff_ms > 0) text += ", waits " + format_duration(e.backoff_ms);
  return with_detail(text, e.detail);
}

static std::string line(const JobPlanned& e) {
  const Plan& plan = e.plan;
  const bool measured = plan.peak_bytes_measured > 0;
  const Bytes peak = measured ? plan.peak_bytes_measured : plan.peak_bytes_predicted;
  return "plan: micro batch " + std::to_string(plan.micro_batch_size) + " x " +
         std::to_string(plan.gradient_accumulation_steps) + " accumulation" +
         checkpointing_text(plan.gradient_checkpointing) + ", " + format_bytes(peak) +
         (measured ? " measured" : " predicted");
}

static std::string line(const PriorityChanged& e) {
  return "priority " + std::to_string(e.priority);
}

static std::string line(const AttemptGranted& e) {
  std::string text = std::string(to_string(e.kind)) + " granted:";
  for (const Grant& grant : e.grants) {
    text += " rank " + std::to_string(grant.rank) + " on " + place_of(grant) + " (" +
            format_bytes(grant.bytes) + ")";
  }
  return text;
}

static std::string line(const AttemptStopping& e) {
  return std::string("stopping ") + (e.checkpoint ? "with a checkpoint" : "at once") + " (" +
         to_string(e.reason) + ")";
}

static std::string line(const RankGone& e) {
  return with_detail("rank " + std::to_string(e.rank) + " ended: " + to_string(e.outcome),
                     e.detail);
}

static std::string line(const ProbeMeasured& e) {
  size_t fitting = 0;
  for (const ProbeResult& result : e.results) fitting += result.oom ? 0 : 1;
  return "probe measured " + std::to_string(e.results.size()) + " plans, " +
         std::to_string(fitting) + " fit in " + format_bytes(e.cap_bytes);
}

static std::string line(const CheckpointCommitted& e) {
  std::string took;
  if (e.seconds > 0) took = ", " + format_duration(std::llround(e.seconds * 1000));
  return "checkpoint " + e.path + " at step " + std::to_string(e.step) + " (" +
         format_bytes(e.bytes) + took + ")";
}

static std::string line(const CheckpointRemoved& e) {
  return "checkpoint " + e.path + (e.corrupt ? " is corrupt" : " removed");
}

static std::string line(const SampleGenerated& e) {
  constexpr Bytes kShown = 48;
  std::string text = cut_utf8(e.prompt + e.text, kShown);
  std::replace(text.begin(), text.end(), '\n', ' ');
  return "sample at step " + std::to_string(e.step) + ": \"" + text + "...\"";
}

static std::string line(const WorkerRegistered& e) {
  return "worker " + e.name + " registered with " + std::to_string(e.inventory.devices.size()) +
         (e.inventory.devices.size() == 1 ? " device" : " devices");
}

static std::string line(const WorkerDrained& e) {
  return e.drain ? "worker is being drained" : "worker takes work again";
}

static std::string line(const WorkerLost& e) {
  return with_detail("worker lost", e.detail);
}

static std::string line(const WorkerForgotten& e) {
  return "worker " + e.name + " forgotten";
}

static std::string line(const WorkerSeen& e) {
  return e.connected ? "worker seen" : "worker disconnected";
}

static std::string line(const WorkerHeld& e) {
  return e.detail.empty() ? "worker is tried again"
                          : with_detail("worker takes nothing new", e.detail);
}

static std::string line(const RankUp& e) {
  return "rank " + std::to_string(e.rank) + " up, pid " + std::to_string(e.pid);
}

static std::string line(const Progressed& e) {
  std::string text = e.phase.empty() ? "train" : e.phase;
  text += ": step " + std::to_string(e.step);
  if (e.steps > 0) text += "/" + std::to_string(e.steps);
  if (std::isfinite(e.loss)) text += printed(", loss %.4f", e.loss);
  if (std::isfinite(e.eval_loss)) text += printed(", eval loss %.4f", e.eval_loss);
  if (e.tokens_per_second > 0) text += ", " + format_count(e.tokens_per_second) + " tokens/s";
  return text;
}

std::string describe(const Event& event) {
  return std::visit([](const auto& body) { return line(body); }, event.body);
}

}  // namespace llmctl
