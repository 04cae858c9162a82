// The list-shaped verbs: ls, workers, checkpoints, metrics, explain.
#include <algorithm>
#include <array>
#include <cmath>

#include "cli/screen/documents.h"
#include "cli/screen/render.h"
#include "cli/screen/table.h"

namespace llmctl {

using Align = Column::Align;

static std::string steps_text(const Progressed& progress) {
  if (progress.steps <= 0) return progress.step > 0 ? std::to_string(progress.step) : "-";
  const auto percent = static_cast<int64_t>(100.0 * static_cast<double>(progress.step) /
                                            static_cast<double>(progress.steps));
  return std::to_string(progress.step) + "/" + std::to_string(progress.steps) + " " +
         std::to_string(percent) + "%";
}

std::string render_jobs(const std::vector<JobView>& jobs, const RenderAt& at) {
  Table table({{"ID", Align::right},
               {"NAME", Align::left, 2},
               {"STATE"},
               {"STEP", Align::right, 1},
               {"LOSS", Align::right},
               {"TOK/S", Align::right},
               {"ETA", Align::right},
               {"AGE", Align::right}});
  for (const JobView& job : jobs) {
    const bool live = job.state == "RUNNING";
    table.add({std::to_string(job.id),
               job.name,
               {job.state, tone_of_state(job.state)},
               steps_text(job.progress),
               job.progress.step > 0 ? format_loss(job.progress.loss) : "-",
               live ? format_rate(job.progress.tokens_per_second) : "-",
               live ? format_eta(job.eta_seconds) : "-",
               age(at.now_unix_ms - job.submitted_unix_ms)});
  }
  return table.text(at.terminal);
}

std::string render_checkpoints(const JobView& job,
                               const std::string& jobs_dir,
                               const RenderAt& at) {
  Table table({{"STEP", Align::right},
               {"TOKENS", Align::right},
               {"LOSS", Align::right},
               {"SIZE", Align::right},
               {"PATH"}});  // never cut: it is there to be copied
  for (const CheckpointView& checkpoint : job.checkpoints) {
    const CheckpointCommitted& commit = checkpoint.commit;
    table.add({std::to_string(commit.step), format_count(static_cast<double>(commit.tokens)),
               format_loss(commit.loss), format_bytes(commit.bytes),
               checkpoint_path(jobs_dir, job.id, commit.path)});
  }
  return table.text(at.terminal);
}

static std::string value_text(double value) {
  if (!std::isfinite(value)) return "-";
  if (std::fabs(value) >= 10'000) return format_count(value);
  std::array<char, 32> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.4g", value);
  return buffer.data();
}

std::string render_metrics(const std::vector<SeriesView>& series, const RenderAt& at) {
  constexpr int kSparkColumns = 24;
  Table table({{"SERIES", Align::left, 1},
               {"POINTS", Align::right},
               {"FIRST", Align::right},
               {"LAST", Align::right},
               {"MIN", Align::right},
               {"MAX", Align::right},
               {"CURVE"}});
  for (const SeriesView& one : series) {
    std::vector<double> values;
    for (const PointView& point : one.points) {
      if (std::isfinite(point.value)) values.push_back(point.value);
    }
    const bool any = !values.empty();
    table.add({one.name, std::to_string(one.points.size()), any ? value_text(values.front()) : "-",
               any ? value_text(values.back()) : "-",
               any ? value_text(*std::min_element(values.begin(), values.end())) : "-",
               any ? value_text(*std::max_element(values.begin(), values.end())) : "-",
               sparkline(values, kSparkColumns, at.terminal)});
  }
  return table.text(at.terminal);
}

static std::string jobs_text(const std::vector<int64_t>& ids) {
  std::string text;
  for (const int64_t id : ids) text += (text.empty() ? "" : ",") + std::to_string(id);
  return text.empty() ? "-" : text;
}

std::string render_workers(const std::vector<WorkerView>& workers, const RenderAt& at) {
  Table table({{"WORKER", Align::left, 1},
               {"STATE"},
               {"DEVICE", Align::left, 3},
               {"PROMISED", Align::right},
               {"TOTAL", Align::right},
               {"SLOTS", Align::right},
               {"JOBS", Align::left, 2},
               {"SEEN", Align::right}});
  for (const WorkerView& worker : workers) {
    bool first = true;
    for (const DeviceView& view : worker.devices) {
      const Device& device = view.device;
      std::string label = device_label(device.kind, device.index) + " " + device.name;
      if (!device.healthy) label += " (unhealthy)";
      table.add({first ? worker.name : "",
                 first ? Cell(worker.state, tone_of_state(worker.state)) : Cell(""), label,
                 format_bytes(view.promised), format_bytes(device.memory_total),
                 std::to_string(view.slots_used) + "/" + std::to_string(device.slots),
                 first ? jobs_text(worker.job_ids) : "", first ? age(worker.seen_ms_ago) : ""});
      first = false;
    }
    if (first) {
      table.add({worker.name,
                 {worker.state, tone_of_state(worker.state)},
                 "no device",
                 "-",
                 "-",
                 "-",
                 jobs_text(worker.job_ids),
                 age(worker.seen_ms_ago)});
    }
  }
  return table.text(at.terminal);
}

std::string render_explanation(const ExplanationView& explanation, const RenderAt& at) {
  std::string out = paint(clean(explanation.headline), Tone::strong, at.terminal) + "\n";
  for (const std::string& fact : explanation.evidence) out += "  - " + clean(fact) + "\n";
  if (!explanation.next_step.empty()) out += "Next: " + clean(explanation.next_step) + "\n";
  return out;
}

}  // namespace llmctl
