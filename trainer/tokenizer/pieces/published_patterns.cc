#include "trainer/tokenizer/pieces/published_patterns.h"

#include <simdjson.h>

#include <cstdint>

#include "trainer/tokenizer/pieces/unicode_class.h"

namespace llmctl {
namespace {

struct Char {
  CharClass kind;
  uint8_t bytes;
};

// Walks over valid UTF-8.
class Scanner {
 public:
  Scanner(std::string_view text, size_t begin)
      : at_(text.data() + begin), end_(text.data() + text.size()) {}

  bool done() const { return at_ == end_; }
  const char* at() const { return at_; }
  bool on(char c) const { return at_ != end_ && *at_ == c; }
  bool on_line_end() const { return on('\r') || on('\n'); }
  void move(size_t bytes) { at_ += bytes; }

  Char here() const {  // requires !done()
    const auto* p = reinterpret_cast<const uint8_t*>(at_);
    if (p[0] < 0x80) return {classes_[p[0]], 1};
    uint32_t code = 0;
    uint8_t bytes = 2;
    if (p[0] < 0xE0) {
      code = (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
    } else if (p[0] < 0xF0) {
      code = (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
      bytes = 3;
    } else {
      code = (p[0] & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
      bytes = 4;
    }
    return {code < kClassedCodePoints ? classes_[code] : CharClass::other, bytes};
  }
  bool on(CharClass kind) const { return at_ != end_ && here().kind == kind; }

  void run(CharClass kind) {
    while (at_ != end_) {
      const Char c = here();
      if (c.kind != kind) return;
      at_ += c.bytes;
    }
  }

 private:
  const CharClass* classes_ = char_classes();
  const char* at_;
  const char* end_;
};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

// Bytes of 's 't 're 've 'm 'll 'd at the front, else 0. U+017F is an s when case is ignored.
size_t contraction(std::string_view text, bool ignore_case) {
  if (text.size() < 2) return 0;
  if (ignore_case && text.substr(1, 2) == "\u017F") return 3;
  const char first = ignore_case ? lower(text[1]) : text[1];
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if (text.size() < 3) return 0;
  const char second = ignore_case ? lower(text[2]) : text[2];
  const bool re_ve = (first == 'r' || first == 'v') && second == 'e';
  return re_ve || (first == 'l' && second == 'l') ? 3 : 0;
}

// \s+(?!\S)|\s+ : white space, but its last character is left to the word that follows. Requires
// white space at `scan`.
void spaces(Scanner& scan) {
  const char* begin = scan.at();
  Scanner last = scan;
  while (scan.on(CharClass::space)) {
    last = scan;
    scan.move(scan.here().bytes);
  }
  if (!scan.done() && last.at() != begin) scan = last;
}

// \s*[\r\n]+ : up to the last line end of the white space here. Nothing moves without one.
bool lines(Scanner& scan) {
  Scanner ahead = scan;
  bool found = false;
  while (ahead.on(CharClass::space)) {
    const bool line_end = ahead.on_line_end();
    ahead.move(ahead.here().bytes);
    if (!line_end) continue;
    scan = ahead;
    found = true;
  }
  return found;
}

}  // namespace

std::optional<PublishedPattern> PublishedPattern::recognise(std::string_view pattern) {
  if (pattern == kGpt2Pattern) return PublishedPattern(0);
  if (pattern == kLlama3Pattern) return PublishedPattern(3);
  if (pattern == kQwenPattern) return PublishedPattern(1);
  return std::nullopt;
}

size_t PublishedPattern::gpt2_end(std::string_view text, size_t begin) {
  if (text[begin] == '\'') {
    if (const size_t bytes = contraction(text.substr(begin), false)) return begin + bytes;
  }
  const Scanner start(text, begin);
  Scanner scan = start;
  if (scan.on(' ')) scan.move(1);
  if (scan.done() || scan.on(CharClass::space)) scan = start;
  const Char first = scan.here();
  if (first.kind == CharClass::space) {
    spaces(scan);
  } else {
    scan.run(first.kind);
  }
  return static_cast<size_t>(scan.at() - text.data());
}

size_t PublishedPattern::llama3_end(std::string_view text, size_t begin) const {
  if (text[begin] == '\'') {
    if (const size_t bytes = contraction(text.substr(begin), true)) return begin + bytes;
  }
  Scanner scan(text, begin);
  const auto end = [&] { return static_cast<size_t>(scan.at() - text.data()); };
  const Char first = scan.here();
  if (first.kind == CharClass::number) {
    for (int i = 0; i < digits_ && scan.on(CharClass::number); ++i) scan.move(scan.here().bytes);
    return end();
  }
  if (first.kind == CharClass::letter || !scan.on_line_end()) {  // [^\r\n\p{L}\p{N}]?\p{L}+
    Scanner word = scan;
    word.move(first.bytes);
    if (first.kind == CharClass::letter || word.on(CharClass::letter)) {
      word.run(CharClass::letter);
      return static_cast<size_t>(word.at() - text.data());
    }
  }
  Scanner signs = scan;  // " ?[^\s\p{L}\p{N}]+[\r\n]*"
  if (signs.on(' ')) signs.move(1);
  if (signs.on(CharClass::other)) {
    signs.run(CharClass::other);
    while (signs.on_line_end()) signs.move(1);
    return static_cast<size_t>(signs.at() - text.data());
  }
  if (!lines(scan)) spaces(scan);
  return end();
}

bool PublishedPattern::can_split(std::string_view text) {
  return text.empty() || simdjson::validate_utf8(text.data(), text.size());
}

}  // namespace llmctl
