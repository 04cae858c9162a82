#include "cli/screen/watch_view.h"

#include <algorithm>

#include "cli/screen/documents.h"
#include "cli/screen/draw.h"

namespace llmctl {

constexpr Millis kProgressEvery = 5'000;  // a plain line at most this often…
constexpr int64_t kProgressShare = 20;    // …or at every 1/20 of the run

static void apply_progress(JobView& job, const Progressed& progress) {
  const Progressed before = job.progress;
  job.progress = progress;
  // A step line carries no evaluation; the last one stays on the screen.
  if (progress.eval_loss != progress.eval_loss) job.progress.eval_loss = before.eval_loss;
  const auto left = static_cast<double>(progress.steps - progress.step);
  if (progress.steps > 0 && progress.seconds_per_step > 0) {
    job.eta_seconds = left * progress.seconds_per_step;
  }
}

bool WatchView::progress_is_due(Millis now_boot_ms) const {
  const Progressed& progress = job_.progress;
  if (progress.step == shown_step_) return false;
  if (shown_step_ < 0 || (progress.steps > 0 && progress.step >= progress.steps)) return true;
  if (now_boot_ms - shown_boot_ms_ >= kProgressEvery) return true;
  const int64_t stride = progress.steps / kProgressShare;
  return stride > 0 && progress.step / stride != shown_step_ / stride;
}

std::vector<std::string> WatchView::lines_for(const Event& event, Millis now_boot_ms) {
  if (const auto* progress = std::get_if<Progressed>(&event.body)) {
    apply_progress(job_, *progress);
    if (terminal_.tty || !progress_is_due(now_boot_ms)) return {};
    shown_boot_ms_ = now_boot_ms;
    shown_step_ = progress->step;
    return {progress_line(job_, 0, terminal_)};
  }
  if (const auto* moved = std::get_if<JobMoved>(&event.body)) {
    job_.state = to_string(moved->to);
    job_.reason = to_string(moved->reason);
    job_.detail = moved->detail;
    job_.progress.phase.clear();  // of the attempt before
    if (job_.progress.step == 0) shown_step_ = -1;
  }
  if (const auto* planned = std::get_if<JobPlanned>(&event.body)) job_.plan = planned->plan;
  if (const auto* commit = std::get_if<CheckpointCommitted>(&event.body)) {
    job_.checkpoints.push_back({*commit, event.epoch.value});
  }
  if (!is_durable(event)) return {};
  return {clean(describe(event))};
}

std::string WatchView::status_line() const {
  constexpr int kBarColumns = 20;
  const std::string state = paint(job_.state, tone_of_state(job_.state), terminal_);
  const int used = columns_of(job_.state) + 2;
  std::string rest = progress_line(job_, kBarColumns, terminal_);
  if (!job_.progress.phase.empty() && job_.progress.phase != "train" && job_.progress.step > 0) {
    rest += "  " + clean(job_.progress.phase);
  }
  return state + "  " + cut(rest, std::max(0, terminal_.columns - used - 1), terminal_);
}

std::string render_ending(const Ending& ending, const Terminal& terminal) {
  const JobView& job = ending.job;
  const std::string id = std::to_string(job.id);
  std::string out = "Job " + id + " " + clean(job.name) + " " +
                    paint(job.state, tone_of_state(job.state), terminal);
  if (job.state != "SUCCEEDED" && !job.reason.empty()) out += " (" + clean(job.reason) + ")";
  if (!job.detail.empty()) out += ": " + clean(job.detail);
  out += "\n";
  if (job.progress.step > 0) {
    out += "  " + std::to_string(job.progress.step) + " steps, " +
           format_count(static_cast<double>(job.progress.tokens)) + " tokens, loss " +
           format_loss(job.progress.loss);
    const std::string eval = format_loss(job.progress.eval_loss);
    if (eval != "-") out += ", eval loss " + eval;
    if (job.started_unix_ms > 0 && job.moved_unix_ms > job.started_unix_ms) {
      out += ", " + format_duration(job.moved_unix_ms - job.started_unix_ms);
    }
    out += "\n";
  }
  const std::string data = data_text(job.progress);
  if (!data.empty()) out += "  data " + data + ": the loss without any context\n";
  if (!job.checkpoints.empty()) {
    const CheckpointCommitted& commit = job.checkpoints.back().commit;
    out += "  checkpoint " + checkpoint_path(ending.jobs_dir, job.id, commit.path) + " (" +
           format_bytes(commit.bytes) + ")\n";
  }
  out += sample_text(job) + "Next:\n";
  if (job.state == "SUCCEEDED" && !job.checkpoints.empty()) {
    out += "  llmctl generate " + id + " --prompt \"...\"\n";
  }
  if (job.state == "FAILED") out += "  llmctl explain " + id + "\n  llmctl logs " + id + "\n";
  if (job.state == "CANCELED") out += "  llmctl retry " + id + "\n";
  return out + "  llmctl metrics " + id + "\n  llmctl show " + id + "\n";
}

}  // namespace llmctl
