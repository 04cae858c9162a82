// What the agent makes of a rank's report lines: the status in heartbeats; facts, which are sent
// again after every reconnect until the scheduler has them for sure; and progress, which may be
// lost.
#include <algorithm>

#include "worker/agent/agent.h"

namespace llmctl::worker {

static constexpr size_t kFacts = 64;  // of one run, told again: the folder has all checkpoints

void Agent::on_report_line(const RunKey& key, const ReportLine& line) {
  const auto found = runs_.find(key);
  if (found == runs_.end() || found->second.ended()) return;
  Run& run = found->second;
  run.last_line_boot_ms = host_.boot_ms();
  if (const auto* up = std::get_if<UpLine>(&line)) {
    run.status.phase = RunStatus::Phase::up;
    run.status.pid = up->pid;
    heartbeat_due_ = true;
  } else if (const auto* phase = std::get_if<PhaseLine>(&line)) {
    run.progress.phase = phase->phase;
    tell(key, run.progress);
  } else if (const auto* data = std::get_if<DataLine>(&line)) {
    run.progress.train_tokens = data->train_tokens;
    run.progress.unigram_entropy = data->unigram_entropy;
  } else if (const auto* progress = std::get_if<Progressed>(&line)) {
    const Progressed before = std::exchange(run.progress, *progress);
    run.progress.peak_bytes = std::max(before.peak_bytes, progress->peak_bytes);
    run.progress.train_tokens = before.train_tokens;  // of the data line
    run.progress.unigram_entropy = before.unigram_entropy;
    tell(key, run.progress);
  } else if (const auto* eval = std::get_if<EvalLine>(&line)) {
    run.progress.eval_loss = eval->loss;
    run.progress.step = std::max(run.progress.step, eval->step);
    tell(key, run.progress);
  } else if (const auto* peak = std::get_if<PeakLine>(&line)) {
    run.progress.peak_bytes = std::max(run.progress.peak_bytes, peak->peak_bytes);
  } else if (const auto* made = std::get_if<CheckpointCommitted>(&line)) {
    keep_fact(run, *made);
    tell(key, *made);
  } else if (const auto* removed = std::get_if<CheckpointRemoved>(&line)) {
    keep_fact(run, *removed);
    tell(key, *removed);
  } else if (const auto* sample = std::get_if<SampleGenerated>(&line)) {
    keep_fact(run, *sample);
    tell(key, *sample);
  } else if (const auto* probe = std::get_if<ProbeResult>(&line)) {
    if (run.status.probes.size() < limits::kProbeCandidates) run.status.probes.push_back(*probe);
  }
}

// The removal of a checkpoint makes the report of that checkpoint pointless, a sample the samples
// before it.
void Agent::keep_fact(Run& run, const RankReport& report) {
  if (const auto* removed = std::get_if<CheckpointRemoved>(&report)) {
    std::erase_if(run.facts, [&](const RankReport& fact) {
      const auto* made = std::get_if<CheckpointCommitted>(&fact);
      return made != nullptr && made->path == removed->path;
    });
  }
  if (std::holds_alternative<SampleGenerated>(report)) {
    std::erase_if(run.facts, [](const RankReport& fact) {
      return std::holds_alternative<SampleGenerated>(fact);
    });
  }
  run.facts.push_back(report);
  if (run.facts.size() > kFacts) run.facts.erase(run.facts.begin());
}

void Agent::tell(const RunKey& key, const RankReport& report) {
  const bool crowded = outbox_.size() >= limits::kReportBuffer;  // the link takes them slowly
  const bool may_be_lost = std::holds_alternative<Progressed>(report);
  if (link_ == Link::up && crowded && may_be_lost) {
    ++reports_dropped_;
    return;
  }
  if (link_ == Link::up) {
    outbox_.emplace_back(RunReport{key, report});
    return;
  }
  if (!may_be_lost) return;  // facts are told after the welcome
  waiting_.push_back({key, report});
  if (waiting_.size() > limits::kReportBuffer) {
    waiting_.pop_front();
    ++reports_dropped_;
  }
}

}  // namespace llmctl::worker
