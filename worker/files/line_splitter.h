// LineSplitter: cuts a byte stream into lines. A line longer than the limit is dropped whole and
// counted, so that memory stays bounded whatever the writer does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/limits.h"

namespace llmctl::worker {

class LineSplitter {
 public:
  explicit LineSplitter(Bytes limit_bytes = limits::kReportLineBytes) : limit_bytes_(limit_bytes) {}

  // Calls `take(line)` for each line that `bytes` completes, without its newline.
  template <class Take>
  void feed(std::string_view bytes, Take take) {
    for (size_t newline = 0; (newline = bytes.find('\n')) != std::string_view::npos;) {
      keep(bytes.substr(0, newline));
      bytes.remove_prefix(newline + 1);
      if (!too_long_) take(std::string_view(line_));
      dropped_ += too_long_ ? 1 : 0;
      line_.clear();
      too_long_ = false;
    }
    keep(bytes);
  }
  int64_t dropped() const { return dropped_; }
  bool mid_line() const { return too_long_ || !line_.empty(); }

 private:
  void keep(std::string_view part) {
    if (static_cast<Bytes>(line_.size() + part.size()) > limit_bytes_) {
      too_long_ = true;
      line_.clear();
    }
    if (!too_long_) line_ += part;
  }

  Bytes limit_bytes_;
  std::string line_;
  bool too_long_ = false;
  int64_t dropped_ = 0;
};

}  // namespace llmctl::worker
