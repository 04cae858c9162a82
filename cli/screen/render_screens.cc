// The two full screens: `show` (a job) and `plan` (a job file, before it is submitted).
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "cli/screen/documents.h"
#include "cli/screen/render.h"
#include "cli/screen/table.h"
#include "core/plan/switches.h"

namespace llmctl {

using Align = Column::Align;

constexpr size_t kTimelineLines = 12;  // with the rest, one screen of 40 lines
constexpr int kScreenBar = 24;         // columns of the progress bar
constexpr int kNameColumns = 40;
constexpr int kLabel = 12;  // columns of the labels on the left

static std::string label(const char* text, const Terminal& terminal) {
  return paint(pad_right(text, kLabel), Tone::dim, terminal);
}

static std::string plan_line(const Plan& plan, int64_t ranks) {
  std::string text = "micro-batch " + std::to_string(plan.micro_batch_size) + " (" +
                     to_string(plan.micro_batch_origin) + ") x accumulation " +
                     std::to_string(plan.gradient_accumulation_steps);
  if (ranks > 1) text += " x " + std::to_string(ranks) + " ranks";
  return text;
}

static std::string choices_line(const Plan& plan) {
  return plan.precision + ", attention " + plan.attention + ", checkpointing " +
         to_string(plan.gradient_checkpointing) + " (" + to_string(plan.checkpointing_origin) + ")";
}

static std::string render_memory(const Plan& plan, const Terminal& terminal) {
  struct Cause {
    const char* name;
    Bytes MemoryByCause::*bytes;
  };
  static constexpr std::array<Cause, 6> kCauses = {{
      {"parameters", &MemoryByCause::parameters},
      {"gradients", &MemoryByCause::gradients},
      {"optimizer", &MemoryByCause::optimizer},
      {"activations", &MemoryByCause::activations},
      {"logits", &MemoryByCause::logits},
      {"workspace", &MemoryByCause::workspace},
  }};
  const bool measured = plan.peak_bytes_measured > 0;
  Table table({{"  MEMORY"}, {"PREDICTED", Align::right}, {"MEASURED", Align::right}});
  for (const Cause& cause : kCauses) {
    table.add({std::string("  ") + cause.name, format_bytes(plan.predicted.*cause.bytes),
               measured ? format_bytes(plan.measured.*cause.bytes) : "-"});
  }
  table.add({"  peak", format_bytes(plan.peak_bytes_predicted),
             measured ? format_bytes(plan.peak_bytes_measured) : "-"});
  return table.text(terminal);
}

// Every value of every switch, the job's own marked.
static std::string switches_text(const PlanScreen& screen, const Terminal& terminal) {
  Table table({{"  SWITCH"}, {"PEAK", Align::right}, {"COSTS", Align::left, 1}});
  for (const Switch& one : switches(screen.spec, screen.plan.chosen)) {
    table.add({{(one.chosen ? "* " : "  ") + one.field + ": " + one.value,
                one.chosen ? Tone::strong : Tone::plain},
               format_bytes(one.peak_bytes),
               one.about});
  }
  return table.text(terminal);
}

// "######.... 340/600 56%", or the phase before the first step.
static std::string share_text(const JobView& job, int bar_columns, const Terminal& terminal) {
  const Progressed& progress = job.progress;
  if (progress.step == 0 && progress.steps == 0) {
    return progress.phase.empty() ? "not started" : clean(progress.phase);
  }
  if (progress.steps <= 0) return "step " + std::to_string(progress.step);
  const double share = static_cast<double>(progress.step) / static_cast<double>(progress.steps);
  const std::string drawn = bar_columns > 0 ? bar(share, bar_columns, terminal) + " " : "";
  return drawn + std::to_string(progress.step) + "/" + std::to_string(progress.steps) + " " +
         std::to_string(static_cast<int>(share * 100)) + "%";
}

static std::string percent(double share) {
  return std::to_string(std::lround(share * 100)) + "%";
}

// "loss 3.213  eval 3.400  11.7k tok/s  MFU 71%  ETA 3m 02s"; empty before the first step.
static std::string numbers_text(const JobView& job) {
  const Progressed& progress = job.progress;
  if (progress.step == 0) return "";
  std::string text = "loss " + format_loss(progress.loss);
  const std::string eval = format_loss(progress.eval_loss);
  if (eval != "-") text += "  eval " + eval;
  if (is_done(job)) return text;
  const std::string rate = format_rate(progress.tokens_per_second);
  if (rate != "-") text += "  " + rate + " tok/s";
  if (progress.mfu > 0) text += "  MFU " + percent(progress.mfu);
  const std::string eta = format_eta(job.eta_seconds);
  if (eta != "-") text += "  ETA " + eta;
  return text;
}

std::string progress_line(const JobView& job, int bar_columns, const Terminal& terminal) {
  const std::string numbers = numbers_text(job);
  return share_text(job, bar_columns, terminal) + (numbers.empty() ? "" : "  " + numbers);
}

static std::string header(const JobView& job, const RenderAt& at) {
  std::string out = paint("Job " + std::to_string(job.id), Tone::strong, at.terminal) + "  " +
                    cut(clean(job.name), kNameColumns, at.terminal) + "  " +
                    paint(job.state, tone_of_state(job.state), at.terminal);
  if (!job.reason.empty()) out += " (" + clean(job.reason) + ")";
  out += "\n";
  if (!job.detail.empty()) out += label("", at.terminal) + clean(job.detail) + "\n";
  out += label("submitted", at.terminal) + age(at.now_unix_ms - job.submitted_unix_ms) + " ago";
  if (job.started_unix_ms > 0) {
    out += ", started " + age(at.now_unix_ms - job.started_unix_ms) + " ago";
  }
  out += ", priority " + std::to_string(job.priority) + ", attempts " +
         std::to_string(job.attempts) + ", epoch " + std::to_string(job.epoch);
  if (job.restarts > 0) out += ", restarts " + std::to_string(job.restarts);
  if (job.retry_of > 0) out += ", continues job " + std::to_string(job.retry_of);
  return out + "\n";
}

// "compute 88%, optimizer 7%, eval 4%": the larger shares of the time that was counted.
static std::string time_text(const PhaseSeconds& seconds) {
  constexpr double kShown = 0.005;  // below, the share would read 0%
  const double total = std::accumulate(seconds.begin(), seconds.end(), 0.0);
  std::vector<std::pair<double, const char*>> shares;
  for (size_t i = 0; i < kTrainPhases; ++i) {
    const double share = total > 0 ? seconds[i] / total : 0;
    if (share >= kShown) shares.emplace_back(share, to_string(static_cast<TrainPhase>(i)));
  }
  std::stable_sort(shares.begin(), shares.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string text;
  for (const auto& [share, phase] : shares) {
    text += (text.empty() ? "" : ", ") + std::string(phase) + " " + percent(share);
  }
  return text;
}

static std::string ranks_text(const JobView& job, const Terminal& terminal) {
  std::string out;
  for (const RankView& rank : job.ranks) {
    const std::string state = rank.gone ? rank.outcome : rank.up ? "up" : "starting";
    out += label(out.empty() ? "ranks" : "", terminal) + std::to_string(rank.rank) + " on " +
           clean(rank.worker) + " " + rank.device + ", " + format_bytes(rank.bytes) + ", " + state;
    if (rank.pid > 0) out += ", pid " + std::to_string(rank.pid);
    out += "\n";
  }
  return out;
}

static std::string newest_checkpoint(const JobScreen& screen, const Terminal& terminal) {
  if (screen.job.checkpoints.empty()) return "";
  const CheckpointCommitted& commit = screen.job.checkpoints.back().commit;
  std::string out = label("checkpoint", terminal) + "step " + std::to_string(commit.step) +
                    ", loss " + format_loss(commit.loss) + ", " + format_bytes(commit.bytes);
  const size_t kept = screen.job.checkpoints.size();
  if (kept > 1) out += ", " + std::to_string(kept) + " kept";
  return out + "\n" + label("", terminal) +
         checkpoint_path(screen.jobs_dir, screen.job.id, commit.path) + "\n";
}

std::string data_text(const Progressed& progress) {
  if (progress.unigram_entropy <= 0) return "";
  return format_count(static_cast<double>(progress.train_tokens)) + " tokens, unigram entropy " +
         format_loss(progress.unigram_entropy);
}

std::string sample_text(const JobView& job) {
  if (!job.sample) return "";
  return "Sample\n" + clean_lines(job.sample->prompt + job.sample->text, "  ") + "\n";
}

static std::string timeline_text(const JobScreen& screen, const Terminal& terminal) {
  if (screen.timeline.empty()) return "";
  std::string out = "Timeline\n";
  const size_t count = screen.timeline.size();
  const size_t skipped = count > kTimelineLines ? count - kTimelineLines : 0;
  if (skipped > 0) out += "  ... " + std::to_string(skipped) + " earlier events\n";
  for (size_t i = skipped; i < count; ++i) {
    const Event& event = screen.timeline[i];
    const Millis since = event.unix_ms - screen.job.submitted_unix_ms;
    out += "  " + pad_left("+" + format_duration(std::max<Millis>(0, since)), 9) + "  " +
           cut(clean(describe(event)), terminal.columns - 13, terminal) + "\n";
  }
  return out;
}

static std::string next_commands(const JobView& job) {
  const std::string id = std::to_string(job.id);
  if (job.state == "SUCCEEDED" && !job.checkpoints.empty()) {
    return "Next: llmctl generate " + id + " --prompt \"...\"\n";
  }
  if (job.state == "FAILED") return "Next: llmctl explain " + id + "; llmctl logs " + id + "\n";
  if (job.state == "CANCELED") return "Next: llmctl retry " + id + "\n";
  if (job.state == "PAUSED") return "Next: llmctl resume " + id + "\n";
  if (job.state == "QUEUED") return "Next: llmctl explain " + id + "; llmctl watch " + id + "\n";
  return "Next: llmctl watch " + id + "; llmctl logs -f " + id + "\n";
}

std::string render_job(const JobScreen& screen, const RenderAt& at) {
  const JobView& job = screen.job;
  std::string out = header(job, at);
  out += label("progress", at.terminal) + share_text(job, kScreenBar, at.terminal) + "\n";
  const std::string numbers = numbers_text(job);
  if (!numbers.empty()) out += label("", at.terminal) + numbers + "\n";
  const std::string data = data_text(job.progress);
  if (!data.empty()) out += label("data", at.terminal) + data + "\n";
  const std::string time = time_text(job.progress.phase_seconds);
  if (!time.empty()) out += label("time", at.terminal) + time + "\n";
  if (job.plan.micro_batch_size > 0) {
    out += label("plan", at.terminal) +
           plan_line(job.plan, std::max<int64_t>(1, static_cast<int64_t>(job.ranks.size()))) +
           "\n" + label("", at.terminal) + choices_line(job.plan);
    if (job.plan.oom_refits > 0) {
      out += ", made smaller after OOM " + std::to_string(job.plan.oom_refits) + " times";
    }
    out += "\n" + render_memory(job.plan, at.terminal);
  }
  out += ranks_text(job, at.terminal);
  out += newest_checkpoint(screen, at.terminal);
  out += sample_text(job);
  out += timeline_text(screen, at.terminal);
  return out + next_commands(job);
}

static std::string settings_text(const PlanScreen& screen, const Terminal& terminal) {
  Table table({{"  FIELD"}, {"VALUE", Align::left, 1}, {"ORIGIN"}});
  for (const auto& setting : screen.settings) {
    const bool given = setting[2] == "given";
    table.add({"  " + setting[0], setting[1], {setting[2], given ? Tone::strong : Tone::dim}});
  }
  return table.text(terminal);
}

static std::string shape_text(const ModelConfig& model) {
  const auto text = [](int64_t count) { return std::to_string(count); };
  std::string out = model.architecture + ", " + text(model.num_hidden_layers) + " layers of " +
                    text(model.hidden_size) + ", " + text(model.num_attention_heads) + " heads";
  if (model.num_key_value_heads != model.num_attention_heads) {
    out += " (" + text(model.num_key_value_heads) + " key/value)";
  }
  return out + ", MLP " + text(model.intermediate_size);
}

std::string render_plan(const PlanScreen& screen, const RenderAt& at) {
  const PlanView& plan = screen.plan;
  const Plan& chosen = plan.chosen;
  const auto ranks = std::max<int64_t>(1, static_cast<int64_t>(plan.placement.size()));
  std::string out = settings_text(screen, at.terminal) + "\n";
  out += label("model", at.terminal) + shape_text(screen.spec.model.config) + "\n";
  out += label("", at.terminal) + "vocabulary " +
         std::to_string(screen.spec.model.config.vocab_size) +
         (screen.spec.model.config.tie_word_embeddings ? ", tied; " : "; ") +
         format_count(static_cast<double>(plan.parameters)) + " parameters, " +
         format_count(plan.flops_per_token) + " FLOP per token\n";
  out += label("plan", at.terminal) + plan_line(chosen, ranks) + "\n";
  out += label("", at.terminal) + choices_line(chosen) + "\n";
  out += label("", at.terminal) +
         (plan.from_profile ? "measured before on this type of device"
                            : "predicted; a probe will choose among " +
                                  std::to_string(plan.candidates.size()) + " candidates") +
         "\n";
  if (chosen.tokens_per_second > 0) {
    out += label("speed", at.terminal) + format_rate(chosen.tokens_per_second) + " tok/s\n";
  }
  out += render_memory(chosen, at.terminal);
  out += switches_text(screen, at.terminal);
  for (const Grant& rank : plan.placement) {
    out += label(rank.rank == 0 ? "would run" : "", at.terminal) + "rank " +
           std::to_string(rank.rank) + " on " + clean(place_of(rank)) + ", " +
           format_bytes(rank.bytes) + "\n";
  }
  if (plan.placement.empty()) {
    out += label("would wait", at.terminal) + "no place for it now:\n";
  }
  out += render_explanation(plan.explanation, at);
  for (const std::string& warning : screen.warnings) {
    out += paint(clean(warning), Tone::warn, at.terminal) + "\n";  // FILE:LINE: warning: …
  }
  return out;
}

}  // namespace llmctl
