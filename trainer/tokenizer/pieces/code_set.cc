#include "trainer/tokenizer/pieces/code_set.h"

#include <algorithm>
#include <cstdio>

namespace llmctl {

static constexpr uint32_t kLastCode = 0x10FFFF;

CodeSet::CodeSet(std::span<const CodeRange> ranges) {
  std::vector<CodeRange> sorted(ranges.begin(), ranges.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const CodeRange& a, const CodeRange& b) { return a.first < b.first; });
  for (const CodeRange& range : sorted) {
    if (range.last < range.first) continue;
    if (!ranges_.empty() && range.first <= ranges_.back().last + 1) {
      ranges_.back().last = std::max(ranges_.back().last, range.last);
    } else {
      ranges_.push_back(range);
    }
  }
}

bool CodeSet::contains(uint32_t code) const {
  const auto range =
      std::lower_bound(ranges_.begin(), ranges_.end(), code,
                       [](const CodeRange& r, uint32_t wanted) { return r.last < wanted; });
  return range != ranges_.end() && range->first <= code;
}

CodeSet CodeSet::operator|(const CodeSet& other) const {
  std::vector<CodeRange> all(ranges_);
  all.insert(all.end(), other.ranges_.begin(), other.ranges_.end());
  return CodeSet(all);
}

CodeSet CodeSet::operator~() const {
  CodeSet rest;
  uint32_t next = 0;
  for (const CodeRange& range : ranges_) {
    if (range.first > next) rest.ranges_.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLastCode) rest.ranges_.push_back({next, kLastCode});
  return rest;
}

std::string CodeSet::in_class() const {
  std::string text;
  for (const CodeRange& range : ranges_) {
    char part[32];
    std::snprintf(part, sizeof(part), "\\x{%x}-\\x{%x}", range.first, range.last);
    text += part;
  }
  return text;
}

}  // namespace llmctl
