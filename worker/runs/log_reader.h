// LogReaders: serves LogRead requests from the log files of runs, a bounded piece at a time, so
// that neither a long log nor a slow reader costs memory. Owned by the loop thread.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "worker/agent/messages.h"
#include "worker/files/open_file.h"

namespace llmctl::worker {

class LogReaders {
 public:
  using Find = std::function<std::optional<std::filesystem::path>(const RunKey&)>;
  explicit LogReaders(Find find) : find_(std::move(find)) {}

  // A new request, or the end of one. A refusal is an answer with `error`.
  void receive(const LogRead& request);
  // The next pieces, at most `limit_bytes` together. Call again while it returns data.
  std::vector<LogData> read(Bytes limit_bytes);
  void clear() { readers_.clear(); }  // the link is gone, and with it whoever asked
  bool idle() const { return readers_.empty() && refused_.empty(); }

 private:
  struct Reader {
    std::filesystem::path directory;
    RunKey run;
    bool follow = false;
    std::vector<OpenFile> parts;  // files still to read, the current one first
    bool ended = false;
  };
  static Result<Reader> open(const std::filesystem::path& directory, const LogRead& request);
  LogData read_piece(int64_t request, Reader& reader, Bytes limit_bytes);
  bool was_rotated(const Reader& reader) const;

  Find find_;
  std::map<int64_t, Reader> readers_;
  std::vector<LogData> refused_;
};

}  // namespace llmctl::worker
