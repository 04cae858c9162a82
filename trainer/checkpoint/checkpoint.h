// Checkpoints: directories `e<epoch>-s<step>` under `<job>/checkpoints`, as docs/RUN_DIRECTORY.md
// describes. A save writes `<name>.tmp`, fsyncs every file, writes the manifest last, fsyncs the
// directory, asks `before_commit`, renames and fsyncs the parent; so a checkpoint with its final
// name is whole, and no crash touches an older one. Names are never overwritten. Loading verifies
// every byte (CRC32C per 4 MiB). One process saves at a time; reading is free. Codes:
// resource_exhausted = disk full (the outcome storage_full), data_loss = damaged,
// already_exists, not_found, unavailable = other I/O error.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/units.h"
#include "trainer/formats/safetensors/safetensors.h"

namespace llmctl {

struct CheckpointShard {  // one file: <name>.safetensors
  std::string name;       // "rank-0"
  std::vector<TensorView> tensors;
};

struct CheckpointContent {
  int64_t epoch = 1, step = 0;
  std::vector<CheckpointShard> shards;
  nlohmann::json state;  // state.json: step, tokens, data position, random state, loss, spec
};

struct SaveOptions {
  // Called with everything on disk, right before the rename: an error (a lost lease) gives up.
  std::function<Status()> before_commit;
  // Called before every system call that changes the disk, e.g. ("write", "rank-0.safetensors").
  std::function<void(std::string_view call, const std::filesystem::path& path)> on_disk_step;
};

struct SavedCheckpoint {
  std::string name;  // directory name inside the checkpoints folder
  Bytes bytes = 0;   // all files
  std::string manifest_hash;
};
Result<SavedCheckpoint> save_checkpoint(const std::filesystem::path& checkpoints,
                                        const CheckpointContent& content,
                                        const SaveOptions& options);

struct Checkpoint {
  std::filesystem::path path;
  int64_t epoch = 0, step = 0;
  Bytes bytes = 0;
  std::string manifest_hash;
  nlohmann::json state;
  std::map<std::string, SafetensorsFile> shards;  // by name: "rank-0"
  // The tensor in whichever shard has it; nullptr: none.
  const TensorView* find(std::string_view tensor) const;
};
Result<Checkpoint> load_checkpoint(const std::filesystem::path& directory);  // every byte verified

struct RejectedCheckpoint {
  std::filesystem::path path;
  Error error;
};
struct FoundCheckpoint {
  std::optional<Checkpoint> checkpoint;      // none: nothing readable in the list
  std::vector<RejectedCheckpoint> rejected;  // tried before it
};
// The first of `newest_first` that verifies. Missing or damaged ones are reported, never touched.
FoundCheckpoint newest_readable(std::span<const std::filesystem::path> newest_first);

// Finished checkpoint directories, newest (highest epoch, then step) first; .tmp ones are no
// checkpoints. An absent folder is empty.
std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& checkpoints);

struct RemovedCheckpoint {
  std::string name;
  bool corrupt = false;
};
// Keeps the newest `keep` (at least 2) that verify and deletes what is older or damaged; remembers
// what it has verified, so each checkpoint is re-read once. Deletes through `.trash/`, so a crash
// leaves no half checkpoint behind, and clears leftovers of earlier crashes (.tmp of `epoch` or
// older). With no checkpoint that verifies it deletes nothing. Beside these it keeps the newest
// checkpoint of `best_step`, and each one with a file `pinned` in its directory.
class CheckpointRetention {
 public:
  CheckpointRetention(std::filesystem::path checkpoints, int64_t keep);
  Result<std::vector<RemovedCheckpoint>> prune(int64_t epoch, int64_t best_step = -1);

 private:
  enum class Verdict { whole, damaged, unknown };
  Verdict verify(const std::filesystem::path& checkpoint);

  std::filesystem::path checkpoints_;
  int64_t keep_;
  std::vector<std::string> verified_;  // names
};

}  // namespace llmctl
