// The checkpoints of one run: which to resume from, when to write the next, what to keep; every
// fact is reported. Only rank 0 writes. One checkpoint at a time may be written by a thread of its
// own, which also prunes the older ones; the training thread hears of it in collect(), and alone
// reports. A full disk is told of and is no error where a later checkpoint may fit again. Codes as
// in trainer/checkpoint/checkpoint.h; aborted = asked to leave while the lease had passed;
// data_loss from newest() = there were checkpoints, none can be read.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "core/run/run_config.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/run/reports/report.h"
#include "trainer/run/saving/lease.h"
#include "trainer/run/saving/train_state.h"
#include "trainer/tokenizer/tokenizer.h"

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
  struct Request {
    CheckpointCommitted about;             // what to say of it
    int64_t best_step = -1;                // of the run, kept
    std::function<LiveContent()> content;  // views of what stays as it is until that is written
    bool in_background = false;            // the content is a copy
    bool must_succeed = false;             // a full disk is an error too
  };
  // Collects what is still being written first. `seconds` of what is reported is how long training
  // waited here.
  Status save(const Request& request);
  // Tells of what was written in the background; an error is why it was not.
  Status collect(bool wait);
  // A copy beside the checkpoints, so that they can generate text on their own.
  Status keep_tokenizer(const Tokenizer& tokenizer) const;

 private:
  struct Written {
    SavedCheckpoint saved;
    std::vector<RemovedCheckpoint> removed;
  };
  struct Pending {
    LiveContent live;
    CheckpointCommitted about;
    int64_t best_step = -1;
    std::optional<Result<Written>> result;  // once done
    std::atomic<bool> done = false;
    std::jthread thread;  // last: ends before what it uses
  };
  using Time = std::chrono::steady_clock::time_point;
  Status write_or_begin(const Request& request, Time begun);
  Status tolerated(const Status& saved);
  Result<Written> write(const CheckpointContent& content,
                        int64_t best_step,
                        const std::stop_token& stop);
  void tell_written(const Written& written, CheckpointCommitted about);
  void tell_removed(const std::filesystem::path& path, bool corrupt);

  const RunConfig& config_;
  const Lease& lease_;
  Reporter& report_;
  std::filesystem::path checkpoints_;
  CheckpointRetention retention_;  // of whoever writes
  int64_t epoch_;
  int64_t newest_step_ = -1;
  std::set<std::string> told_;  // removed ones, each told once
  std::vector<int> cpus_;       // of the process: writing must not take the time of pinned training
  std::unique_ptr<Pending> pending_;
};

}  // namespace llmctl
