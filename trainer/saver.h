// The checkpoints of one run: which to resume from, when to write the next, what to keep; every
// fact is reported. Only rank 0 writes. Codes as in trainer/checkpoint.h; aborted = asked to leave
// while the lease had passed; data_loss from newest() = there were checkpoints, none can be read.
#pragma once

#include <optional>
#include <set>

#include "core/run_config.h"
#include "trainer/checkpoint.h"
#include "trainer/lease.h"
#include "trainer/report.h"
#include "trainer/tokenizer.h"

namespace llmctl {

class Saver {
 public:
  Saver(const RunConfig& config, const Lease& lease, Reporter& report);

  Result<std::optional<Checkpoint>> newest();
  int64_t epoch() const { return epoch_; }  // names the next checkpoints
  bool due(int64_t step) const;
  int64_t newest_step() const { return newest_step_; }  // resumed from or saved; -1: none
  // Repeats the news of a checkpoint that this run continues from: whoever made it may have been
  // cut off before anybody heard.
  void tell_resumed(const Checkpoint& from, const CheckpointCommitted& about);
  Status save(const CheckpointContent& content, const CheckpointCommitted& about);
  // A copy beside the checkpoints, so that they can generate text on their own.
  Status keep_tokenizer(const Tokenizer& tokenizer) const;

 private:
  void tell_removed(const std::string& name, bool corrupt);

  const RunConfig& config_;
  const Lease& lease_;
  Reporter& report_;
  std::filesystem::path checkpoints_;
  CheckpointRetention retention_;
  int64_t epoch_;
  int64_t newest_step_ = -1;
  std::set<std::string> told_;  // removed ones, each told once
};

std::filesystem::path checkpoints_of(const std::filesystem::path& job_dir);
std::filesystem::path tokenizer_of(const std::filesystem::path& job_dir);

}  // namespace llmctl
