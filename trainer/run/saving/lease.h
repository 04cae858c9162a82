// The lease of a run (docs/RUN_DIRECTORY.md): until when, on the boot clock, this rank may work.
// The agent writes the file in place; the trainer looks before each step and each commit, and waits
// while it has passed. No file, or an empty one, means a run by hand: always valid.
#pragma once

#include <filesystem>
#include <functional>

#include "core/base/clock.h"

namespace llmctl {

class Lease {
 public:
  Lease(const std::filesystem::path& run_directory, const Clock& clock);
  bool valid() const;
  // Returns true as soon as the lease is valid, false when `give_up` says so first.
  bool wait(const std::function<bool()>& give_up) const;

 private:
  std::filesystem::path file_;
  const Clock& clock_;
};

}  // namespace llmctl
