#include "trainer/saver.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "trainer/signals.h"

namespace llmctl {

namespace fs = std::filesystem;

fs::path checkpoints_of(const fs::path& job_dir) {
  return job_dir / "checkpoints";
}
fs::path tokenizer_of(const fs::path& job_dir) {
  return job_dir / "tokenizer.json";
}

Saver::Saver(const RunConfig& config, const Lease& lease, Reporter& report)
    : config_(config),
      lease_(lease),
      report_(report),
      checkpoints_(checkpoints_of(config.job_dir)),
      retention_(checkpoints_, config.spec.save_total_limit),
      epoch_(config.epoch) {}

Result<std::optional<Checkpoint>> Saver::newest() {
  std::vector<fs::path> candidates;
  for (const std::string& path : config_.resume) {
    // "../7/checkpoints/…" must be found before this job has a folder of its own.
    candidates.push_back((fs::path(config_.job_dir) / path).lexically_normal());
  }
  // While nobody listened, an earlier attempt may have replaced the checkpoints that the scheduler
  // knows by newer ones, each committed under its lease: they are the second choice.
  if (!candidates.empty()) {
    const size_t known = candidates.size();
    for (fs::path& path : list_checkpoints(checkpoints_)) {
      const auto end = candidates.begin() + static_cast<std::ptrdiff_t>(known);
      if (std::find(candidates.begin(), end, path) == end) candidates.push_back(std::move(path));
    }
  }
  if (config_.resume_scan) {
    candidates = list_checkpoints(checkpoints_);
    // By hand nobody counts attempts; a fresh epoch keeps names from colliding.
    for (const fs::path& path : candidates) {
      const Result<Checkpoint> one = load_checkpoint(path);
      if (one.ok()) epoch_ = std::max(epoch_, one->epoch + 1);
    }
  }
  FoundCheckpoint found = newest_readable(candidates);
  for (const RejectedCheckpoint& bad : found.rejected) {
    const bool missing = bad.error.code == Code::not_found;
    if (config_.rank == 0) tell_removed(bad.path.filename().string(), !missing);
  }
  if (found.checkpoint) newest_step_ = found.checkpoint->step;
  if (!found.checkpoint && !candidates.empty()) {
    const Error& newest = found.rejected.front().error;
    return Error{Code::data_loss, "no checkpoint can be read: " + newest.message, newest.hint};
  }
  return std::move(found.checkpoint);
}

void Saver::tell_resumed(const Checkpoint& from, const CheckpointCommitted& about) {
  if (config_.rank != 0 || from.path.parent_path() != checkpoints_.lexically_normal()) return;
  CheckpointCommitted committed = about;
  committed.path = from.path.filename().string();
  committed.bytes = from.bytes;
  committed.manifest_hash = from.manifest_hash;
  report_.line(to_report(committed));
}

bool Saver::due(int64_t step) const {
  return config_.spec.save_steps > 0 && step % config_.spec.save_steps == 0;
}

Status Saver::save(const CheckpointContent& content, const CheckpointCommitted& about) {
  SaveOptions options;
  options.before_commit = [this]() -> Status {
    if (lease_.wait(signals::leave_requested)) return ok_status();
    return Error{Code::aborted, "the lease has passed", ""};
  };
  const auto begin = std::chrono::steady_clock::now();
  const SavedCheckpoint saved = TRY(save_checkpoint(checkpoints_, content, options));
  newest_step_ = content.step;
  CheckpointCommitted committed = about;
  committed.path = saved.name;
  committed.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  committed.bytes = saved.bytes;
  committed.manifest_hash = saved.manifest_hash;
  report_.line(to_report(committed));
  for (const RemovedCheckpoint& removed : TRY(retention_.prune(epoch_))) {
    tell_removed(removed.name, removed.corrupt);
  }
  return ok_status();
}

void Saver::tell_removed(const std::string& name, bool corrupt) {
  if (!told_.insert(name).second) return;
  report_.line(to_report(CheckpointRemoved{name, corrupt}));
}

Status Saver::keep_tokenizer(const Tokenizer& tokenizer) const {
  if (config_.spec.tokenizer.kind == TokenizerSpec::Kind::bytes) return ok_status();
  const fs::path file = tokenizer_of(config_.job_dir);
  if (fs::exists(file)) return ok_status();
  std::error_code ignored;
  fs::create_directories(config_.job_dir, ignored);  // the save says what is wrong
  return tokenizer.save(file);
}

}  // namespace llmctl
