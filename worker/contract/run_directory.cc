#include "worker/contract/run_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/base/json_reader.h"
#include "core/base/limits.h"
#include "core/base/process_stat.h"

namespace llmctl::worker {

using nlohmann::json;

static constexpr Bytes kSmallFile = 256 << 10;  // pid, exit and verdict with their evidence

std::string directory_name(const RunKey& run) {
  return run.job.str() + "-e" + run.epoch.str() + "-r" + std::to_string(run.rank);
}

// Reads digits; the text after them stays. None: no digits, or too many.
static std::optional<int64_t> take_number(std::string_view& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

std::optional<RunKey> parse_directory_name(std::string_view name) {
  std::string_view rest = name;
  const auto job = take_number(rest);
  if (!job || !rest.starts_with("-e")) return std::nullopt;
  rest.remove_prefix(2);
  const auto epoch = take_number(rest);
  if (!epoch || !rest.starts_with("-r")) return std::nullopt;
  rest.remove_prefix(2);
  const auto rank = take_number(rest);
  if (!rank || *rank > limits::kRanks) return std::nullopt;
  const RunKey key{JobId{*job}, Epoch{*epoch}, static_cast<int32_t>(*rank)};
  if (directory_name(key) != name) return std::nullopt;  // "007-e1-r0" is not ours
  return key;
}

ProcessId identify(pid_t pid) {
  const auto stat = pid > 0 ? read_process_stat(pid) : std::nullopt;
  return {pid, stat ? stat->start_ticks : 0};
}

bool is_alive(const ProcessId& process) {
  if (process.pid <= 0 || process.start == 0) return false;
  const auto stat = read_process_stat(process.pid);
  return stat && stat->start_ticks == process.start && !stat->zombie();
}

std::string boot_id() {
  std::string id = read_small_file("/proc/sys/kernel/random/boot_id", 64).value_or("");
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

Status RunDirectory::write_pids(const PidFile& pids) const {
  const json document = {{"supervisor_pid", pids.supervisor.pid},
                         {"supervisor_start", pids.supervisor.start},
                         {"trainer_pid", pids.trainer.pid},
                         {"trainer_start", pids.trainer.start},
                         {"boot_id", pids.boot_id}};
  return replace_file(file("pid.json"), dump_json(document) + "\n", false);
}

static std::optional<json> read_json(const std::filesystem::path& path) {
  const auto text = read_small_file(path, kSmallFile);
  if (!text) return std::nullopt;
  auto document = parse_json(*text, path.string());
  if (!document.ok()) return std::nullopt;
  return std::move(document).value();
}

std::optional<PidFile> RunDirectory::read_pids() const {
  const auto document = read_json(file("pid.json"));
  if (!document) return std::nullopt;
  PidFile pids;
  JsonReader reader(*document, "pid.json");
  reader.read("supervisor_pid", pids.supervisor.pid);
  reader.read("supervisor_start", pids.supervisor.start);
  reader.read("trainer_pid", pids.trainer.pid);
  reader.read("trainer_start", pids.trainer.start);
  reader.read("boot_id", pids.boot_id);
  if (!reader.status().ok() || pids.boot_id != boot_id()) return std::nullopt;
  return pids;
}

Status RunDirectory::write_exit(const ExitFile& exit) const {
  const json document = {{"code", exit.code},
                         {"signal", exit.signal},
                         {"outcome", to_string(exit.outcome)},
                         {"detail", exit.detail}};
  return replace_file(file("exit.json"), dump_json(document) + "\n", true);
}

std::optional<ExitFile> RunDirectory::read_exit() const {
  const auto document = read_json(file("exit.json"));
  if (!document) return std::nullopt;
  ExitFile exit;
  std::string outcome;
  JsonReader reader(*document, "exit.json");
  reader.read("code", exit.code);
  reader.read("signal", exit.signal);
  reader.read("outcome", outcome);
  reader.read("detail", exit.detail);
  const auto parsed = parse_outcome(outcome);
  if (!reader.status().ok() || !parsed) return std::nullopt;
  exit.outcome = *parsed;
  return exit;
}

Status RunDirectory::write_verdict(const Verdict& verdict) const {
  const json document = {{"outcome", to_string(verdict.outcome)}, {"detail", verdict.detail}};
  return replace_file(file("verdict.json"), dump_json(document) + "\n", false);
}

std::optional<Verdict> RunDirectory::read_verdict() const {
  const auto document = read_json(file("verdict.json"));
  if (!document) return std::nullopt;
  Verdict verdict;
  std::string outcome;
  JsonReader reader(*document, "verdict.json");
  reader.read("outcome", outcome);
  reader.read("detail", verdict.detail);
  const auto parsed = parse_outcome(outcome);
  if (!reader.status().ok() || !parsed) return std::nullopt;
  verdict.outcome = *parsed;
  return verdict;
}

Status RunDirectory::write_lease(Millis until_boot_ms) const {
  const auto path = file("lease");
  const OpenFile lease(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  unsigned char bytes[8];
  for (int i = 0; i < 8; ++i) {
    bytes[i] = static_cast<unsigned char>(static_cast<uint64_t>(until_boot_ms) >> (8 * i));
  }
  if (!lease || pwrite(lease.fd(), bytes, sizeof bytes, 0) != sizeof bytes) {
    return system_error(path, "write", errno);
  }
  return ok_status();
}

Millis RunDirectory::read_lease() const {
  const auto bytes = read_small_file(file("lease"), 8);
  if (!bytes || bytes->size() != 8) return 0;
  uint64_t value = 0;
  for (size_t i = 8; i-- > 0;) value = value << 8 | static_cast<unsigned char>((*bytes)[i]);
  return static_cast<Millis>(value);
}

Result<bool> RunDirectory::claim() const {
  const OpenFile claimed(
      open(file("claimed").c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (claimed) return true;
  if (errno == EEXIST) return false;
  return system_error(file("claimed"), "open", errno);
}

Result<OpenFile> RunDirectory::lock() const {
  OpenFile directory(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return system_error(path_, "open", errno);
  if (flock(directory.fd(), LOCK_EX | LOCK_NB) != 0) {
    return Error{Code::failed_precondition, path_.string() + ": is watched by a supervisor", ""};
  }
  return directory;
}

}  // namespace llmctl::worker
