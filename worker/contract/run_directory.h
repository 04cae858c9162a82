// The files of one run, as docs/RUN_DIRECTORY.md describes them: names, and reading and writing
// each one. Used by the agent and by the supervisor, which share nothing else. No state but an open
// lock. Small files are replaced by rename, so a reader sees the old or the new one.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>

#include "core/base/result.h"
#include "core/run/event.h"
#include "worker/contract/run_key.h"
#include "worker/files/open_file.h"

namespace llmctl::worker {

// "7-e2-r0"; both ways.
std::string directory_name(const RunKey& run);
std::optional<RunKey> parse_directory_name(std::string_view name);

// A process that is never confused with a later one of the same pid.
struct ProcessId {
  pid_t pid = 0;
  int64_t start = 0;  // field 22 of /proc/PID/stat; with the boot id: unique
  bool operator==(const ProcessId&) const = default;
};
ProcessId identify(pid_t pid);            // start is 0 when there is no such process
bool is_alive(const ProcessId& process);  // not a zombie, and the same one
std::string boot_id();

struct PidFile {
  ProcessId supervisor, trainer;
  std::string boot_id;
};
struct ExitFile {
  int code = 0;
  int signal = 0;
  Outcome outcome = Outcome::crashed;
  std::string detail;
};
// Why the agent killed the run: written before the signal, so that the outcome survives the agent.
struct Verdict {
  Outcome outcome = Outcome::killed;
  std::string detail;
};

class RunDirectory {
 public:
  explicit RunDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path file(const char* name) const { return path_ / name; }

  // One process, once: a supervisor before it starts the trainer, or the agent before it says that
  // none was started. False: another has.
  Result<bool> claim() const;

  Status write_pids(const PidFile& pids) const;
  // None: not written yet, unreadable, or of another boot (those processes are gone).
  std::optional<PidFile> read_pids() const;
  Status write_exit(const ExitFile& exit) const;  // durable
  std::optional<ExitFile> read_exit() const;
  Status write_verdict(const Verdict& verdict) const;
  std::optional<Verdict> read_verdict() const;

  Status write_lease(Millis until_boot_ms) const;  // in place; creates the file
  Millis read_lease() const;                       // 0: none

  // Whoever holds the lock of the directory watches the run. The agent hands its lock to the
  // supervisor it spawns, so there is no moment without an owner while the run lives.
  Result<OpenFile> lock() const;  // failed_precondition: somebody else watches

 private:
  std::filesystem::path path_;
};

}  // namespace llmctl::worker
