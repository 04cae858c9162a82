#include "sim_host.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "world.h"

namespace llmctl::sim {

bool SimHost::works(const SimRun& run) const {
  return run.phase == SimRun::Phase::up && world_.now() <= run.lease_until;
}

Millis SimHost::boot_ms() const {
  return world_.now();
}

void SimHost::step() {
  for (auto& [key, run] : runs_) step_run(run);
}

void SimHost::adopt(worker::Agent& agent) {
  for (auto& [key, run] : runs_) {
    run.read = 0;
    run.end_seen = false;
    agent.adopt(key, run.lease_until);
  }
  tell(agent);
}

// All of it is collected first: what the agent makes of it may change the runs.
void SimHost::tell(worker::Agent& agent) {
  std::vector<std::pair<worker::RunKey, worker::ReportLine>> lines;
  std::vector<std::pair<worker::RunKey, Outcome>> ends;
  for (auto& [key, run] : runs_) {
    for (; run.read < run.report.size(); ++run.read) lines.emplace_back(key, run.report[run.read]);
    if (!run.alive() && !std::exchange(run.end_seen, true)) ends.emplace_back(key, run.outcome);
  }
  for (const auto& [key, line] : lines) agent.on_report_line(key, line);
  for (const auto& [key, outcome] : ends) agent.on_exit(key, outcome, "");
}

void SimHost::crash(bool disk_too) {
  for (auto& [key, run] : runs_) {
    if (run.alive()) end(run, Outcome::crashed);
  }
  if (!disk_too) return;
  runs_.clear();
  cluster_.clear();
}

Status SimHost::start(const RunConfig& config, Millis lease_until_boot_ms) {
  if (disk_full_) return Error{Code::resource_exhausted, "no space left on device", ""};
  const worker::RunKey key{JobId{config.job_id}, Epoch{config.epoch}, config.rank};
  const auto [place, fresh] = runs_.try_emplace(key);
  CHECK(fresh);
  SimRun& run = place->second;
  run.config = config;
  run.lease_until = lease_until_boot_ms;
  run.next_at = world_.now() + world_.random().between(50, 400);
  world_.say(name_, "starts job " + key.job.str() + " e" + key.epoch.str());
  return ok_status();
}

void SimHost::renew_lease(const worker::RunKey& run, Millis until_boot_ms) {
  const auto found = runs_.find(run);
  if (found != runs_.end()) found->second.lease_until = until_boot_ms;
}

void SimHost::ask_to_leave(const worker::RunKey& run) {
  const auto found = runs_.find(run);
  if (found != runs_.end()) found->second.leave = true;
}

void SimHost::kill(const worker::RunKey& run, Outcome why, const std::string&) {
  const auto found = runs_.find(run);
  if (found == runs_.end() || !found->second.alive() || found->second.dies_at) return;
  found->second.verdict = why;
  found->second.dies_at = world_.now() + world_.random().between(0, 200);
}

void SimHost::retire(const worker::RunKey& run) {
  runs_.erase(run);
}

}  // namespace llmctl::sim
