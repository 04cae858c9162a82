#include "trainer/run/saving/saver.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/cpus.h"
#include "trainer/checkpoint/job_folder.h"
#include "trainer/run/saving/signals.h"

namespace llmctl {

namespace fs = std::filesystem;

Saver::Saver(const RunConfig& config, const Lease& lease, Reporter& report)
    : config_(config),
      lease_(lease),
      report_(report),
      checkpoints_(checkpoints_of(config.job_dir)),
      retention_(checkpoints_, config.spec.save_total_limit),
      epoch_(config.epoch),
      cpus_(allowed_cpus()) {}

Result<std::optional<Checkpoint>> Saver::newest() {
  // The folder tells more than the scheduler: while nobody listened, an earlier attempt may have
  // written checkpoints, each committed under its lease. Behind them come those that the scheduler
  // knows and the folder has not: removed ones, and those of earlier jobs.
  std::vector<fs::path> candidates = list_checkpoints(checkpoints_);
  const size_t known = config_.resume_scan ? 0 : config_.resume.size();
  for (size_t i = 0; i < known; ++i) {
    // "../7/checkpoints/…" must be found before this job has a folder of its own.
    const fs::path path = (fs::path(config_.job_dir) / config_.resume[i]).lexically_normal();
    const bool listed = std::find(candidates.begin(), candidates.end(), path) != candidates.end();
    if (listed) continue;
    candidates.push_back(path);
    tell_removed(path, false);
  }
  if (config_.resume_scan) {
    // By hand nobody counts attempts; a fresh epoch keeps names from colliding.
    for (const fs::path& path : candidates) {
      const Result<Checkpoint> one = load_checkpoint(path);
      if (one.ok()) epoch_ = std::max(epoch_, one->epoch + 1);
    }
  }
  FoundCheckpoint found = newest_readable(candidates);
  for (const RejectedCheckpoint& bad : found.rejected) {
    const bool missing = bad.error.code == Code::not_found;
    tell_removed(bad.path, !missing);
  }
  if (found.checkpoint) newest_step_ = found.checkpoint->step;
  const bool lost = known > 0 || config_.resume_scan;
  if (!found.checkpoint && lost && !candidates.empty()) {
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

Result<Saver::Written> Saver::write(const CheckpointContent& content,
                                    int64_t best_step,
                                    const std::stop_token& stop) {
  SaveOptions options;
  options.before_commit = [this, &stop]() -> Status {
    const auto give_up = [&] { return signals::leave_requested() || stop.stop_requested(); };
    if (lease_.wait(give_up)) return ok_status();
    return Error{Code::aborted, "the lease has passed", ""};
  };
  Written written;
  written.saved = TRY(save_checkpoint(checkpoints_, content, options));
  written.removed = TRY(retention_.prune(epoch_, best_step));
  return written;
}

Status Saver::save(const Request& request) {
  const auto begun = std::chrono::steady_clock::now();
  TRY(collect(/*wait=*/true));
  const Status saved = write_or_begin(request, begun);
  return request.must_succeed ? saved : tolerated(saved);
}

Status Saver::write_or_begin(const Request& request, Time begun) {
  CHECK(pending_ == nullptr);
  const auto waited = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  };
  LiveContent live = request.content();
  CheckpointCommitted about = request.about;
  if (!request.in_background) {
    const Written written = TRY(write(live.content, request.best_step, {}));
    about.seconds = waited();
    tell_written(written, about);
    return ok_status();
  }
  pending_ = std::make_unique<Pending>();
  pending_->live = std::move(live);
  pending_->best_step = request.best_step;
  pending_->about = about;
  pending_->about.seconds = waited();
  pending_->thread = std::jthread([this, pending = pending_.get()](const std::stop_token& stop) {
    stay_on(cpus_);  // or where training is, if the kernel refuses
    pending->result = write(pending->live.content, pending->best_step, stop);
    pending->done = true;
  });
  return ok_status();
}

Status Saver::collect(bool wait) {
  if (pending_ == nullptr || (!wait && !pending_->done)) return ok_status();
  pending_->thread.join();
  const std::unique_ptr<Pending> pending = std::move(pending_);
  const Result<Written>& written = *pending->result;
  if (!written.ok()) return tolerated(written.error());
  tell_written(*written, pending->about);
  return ok_status();
}

// With a full disk a run does better to go on: the next checkpoint may fit again.
Status Saver::tolerated(const Status& saved) {
  if (saved.ok() || saved.error().code != Code::resource_exhausted) return saved;
  report_.phase("no checkpoint: " + saved.error().message);
  return ok_status();
}

void Saver::tell_written(const Written& written, CheckpointCommitted about) {
  newest_step_ = about.step;
  about.path = written.saved.name;
  about.bytes = written.saved.bytes;
  about.manifest_hash = written.saved.manifest_hash;
  report_.line(to_report(about));
  for (const RemovedCheckpoint& removed : written.removed) {
    tell_removed(checkpoints_ / removed.name, removed.corrupt);
  }
}

// When the whole folder is not there it may only be out of sight, and all in it intact.
void Saver::tell_removed(const fs::path& path, bool corrupt) {
  const std::string name = path.filename().string();
  const bool own = path.parent_path().lexically_normal() == checkpoints_.lexically_normal();
  if (config_.rank != 0 || !own || !fs::exists(checkpoints_)) return;
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
