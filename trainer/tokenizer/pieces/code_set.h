// Sets of Unicode code points, for what a pattern or a normalizer asks of characters. Values.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace llmctl {

struct CodeRange {
  uint32_t first, last;
};

class CodeSet {
 public:
  CodeSet() = default;
  explicit CodeSet(std::span<const CodeRange> ranges);
  bool contains(uint32_t code) const;
  bool empty() const { return ranges_.empty(); }
  std::span<const CodeRange> ranges() const { return ranges_; }  // ascending, apart
  CodeSet operator|(const CodeSet& other) const;
  CodeSet operator&(const CodeSet& other) const { return ~(~*this | ~other); }
  CodeSet operator-(const CodeSet& other) const { return *this & ~other; }
  CodeSet operator~() const;
  std::string in_class() const;  // for the inside of [...] in PCRE2

 private:
  std::vector<CodeRange> ranges_;
};

}  // namespace llmctl
