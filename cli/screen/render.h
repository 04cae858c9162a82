// Views as text for people, one function per verb; the JSON twin of each is in documents.h.
// Pure: the terminal's abilities and the present time are arguments, so goldens can pin them.
#pragma once

#include <string>
#include <vector>

#include "cli/screen/view.h"
#include "cli/shell/terminal.h"
#include "core/job/job_spec.h"

namespace llmctl {

struct RenderAt {
  Terminal terminal;
  Millis now_unix_ms = 0;
};

std::string render_jobs(const std::vector<JobView>& jobs, const RenderAt& at);
std::string render_checkpoints(const JobView& job, const std::string& jobs_dir, const RenderAt& at);
std::string render_metrics(const std::vector<SeriesView>& series, const RenderAt& at);
std::string render_workers(const std::vector<WorkerView>& workers, const RenderAt& at);
std::string render_explanation(const ExplanationView& explanation, const RenderAt& at);

// One screen: state, progress, plan with memory by cause, ranks, checkpoints, timeline, next step.
struct JobScreen {
  JobView job;
  std::vector<Event> timeline;  // oldest first
  std::string jobs_dir;
};
std::string render_job(const JobScreen& screen, const RenderAt& at);

struct PlanScreen {
  PlanView plan;
  JobSpec spec;
  std::vector<std::vector<std::string>> settings;  // field, value, origin
  std::vector<std::string> warnings;
};
std::string render_plan(const PlanScreen& screen, const RenderAt& at);

// The generated text under its heading, indented; empty: none yet.
std::string sample_text(const JobView& job);

// "1.2M tokens, unigram entropy 5.832": what the loss is to be compared with; empty: not known.
std::string data_text(const Progressed& progress);

// One line of progress, for watching: bar, steps, loss, speed, ETA.
std::string progress_line(const JobView& job, int bar_columns, const Terminal& terminal);

}  // namespace llmctl
