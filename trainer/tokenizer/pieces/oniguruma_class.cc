#include "trainer/tokenizer/pieces/oniguruma_class.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>
#include <vector>

#include "trainer/tokenizer/pieces/characters.h"
#include "trainer/tokenizer/pieces/unicode_class.h"

namespace llmctl {
namespace {

constexpr int kClassDepth = 16;

std::string every_character() {
  std::string text;
  for (uint32_t code = 0; code <= 0x10FFFF; ++code) {
    if (code < 0xD800 || code > 0xDFFF) append_utf8(code, text);
  }
  return text;
}

// What the installed PCRE2 takes [text] for.
CodeSet set_of_pcre2(const std::string& text) {
  static const std::string all = every_character();
  const std::string pattern = "[" + text + "]+";
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                   PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr);
  std::vector<CodeRange> ranges;
  if (code == nullptr) return {};
  pcre2_match_data* match = pcre2_match_data_create(1, nullptr);
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(all.data());
  for (size_t at = 0;
       pcre2_match(code, subject, all.size(), at, PCRE2_NO_UTF_CHECK, match, nullptr) > 0;) {
    size_t begin = pcre2_get_ovector_pointer(match)[0];
    at = pcre2_get_ovector_pointer(match)[1];
    while (begin < at) {
      const uint32_t one = next_code_point(all, begin);
      ranges.push_back({one, one});
    }
  }
  pcre2_match_data_free(match);
  pcre2_code_free(code);
  return CodeSet(ranges);
}

// A few of PCRE2's properties with what they lack match much faster than hundreds of ranges.
std::string spelled(const CodeSet& set, const std::string& native) {
  static std::mutex mutex;
  static std::map<std::string, std::string> known;  // by native text; one set each
  if (native.empty()) return set.in_class();
  const std::lock_guard lock(mutex);
  const auto [entry, is_new] = known.try_emplace(native);
  if (is_new) {
    const CodeSet theirs = set_of_pcre2(native);
    const bool has_too_much = theirs.empty() || !(theirs - set).empty();
    entry->second = has_too_much ? set.in_class() : native + (set - theirs).in_class();
  }
  return entry->second;
}

ClassPart part_of(const CodeSet& set, const std::string& native, bool negated) {
  if (negated) return {~set, (~set).in_class(), true};
  return {set, spelled(set, native), true};
}

// "{L}", "{^Han}" behind \p or \P.
Result<ClassPart> read_property(std::string_view pattern, size_t& at, bool negated) {
  const size_t end = pattern.find('}', at);
  if (at >= pattern.size() || pattern[at] != '{' || end == pattern.npos) {
    return invalid("\\p without {NAME}");
  }
  std::string_view name = pattern.substr(at + 1, end - at - 1);
  at = end + 1;
  if (name.starts_with('^')) {
    negated = !negated;
    name.remove_prefix(1);
  }
  const CodeSet* set = unicode_set(name);
  if (set == nullptr) {
    return invalid("\\p{" + std::string(name.substr(0, 40)) + "} is not supported");
  }
  const bool category = name.size() <= 2;
  return part_of(*set, category ? "\\p{" + std::string(name) + "}" : "", negated);
}

Result<uint32_t> read_hex(std::string_view digits) {
  uint32_t code = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  if (!whole || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
    return invalid("\"" + std::string(digits.substr(0, 16)) + "\" is no character's number");
  }
  return code;
}

class ClassReader {
 public:
  ClassReader(std::string_view pattern, size_t& at) : pattern_(pattern), at_(at) {}

  Result<ClassPart> read(int depth) {
    if (depth > kClassDepth) return invalid("classes nest too deep");
    ++at_;  // '['
    const bool negated = at_ < pattern_.size() && pattern_[at_] == '^';
    if (negated) ++at_;
    ClassPart own;
    std::optional<CodeSet> left;  // of &&
    for (bool first = true;; first = false) {
      if (at_ >= pattern_.size()) return invalid("a [ is not closed");
      if (pattern_[at_] == ']' && !first) break;
      if (pattern_.substr(at_).starts_with("&&")) {
        left = left ? *left & own.set : own.set;
        own = {{}, "", false};
        at_ += 2;
        continue;
      }
      TRY(read_item(depth, own));
    }
    ++at_;
    if (left) own = {*left & own.set, "", false};
    if (negated) own = {~own.set, "^" + own.text, own.plain};
    return own;
  }

 private:
  static void add(ClassPart& own, const ClassPart& part) {
    own.set = own.set | part.set;
    own.text += part.text;
    own.plain &= part.plain && !part.text.starts_with('^');
  }

  Status read_item(int depth, ClassPart& own) {
    if (pattern_.substr(at_).starts_with("[:")) {
      const size_t end = pattern_.find(":]", at_);
      if (end != pattern_.npos && end - at_ < 16) {
        const size_t begin = at_ + 2;
        at_ = end + 2;
        return read_posix(pattern_.substr(begin, end - begin), own);
      }
    }
    if (pattern_[at_] == '[') {
      add(own, TRY(read(depth + 1)));
      return ok_status();
    }
    if (pattern_[at_] == '\\') {
      if (auto set = TRY(read_set_escape(pattern_, at_))) {
        add(own, *set);
        return ok_status();
      }
    }
    return read_range(own);
  }

  Status read_posix(std::string_view name, ClassPart& own) {
    const bool negated = name.starts_with('^');
    if (negated) name.remove_prefix(1);
    const bool known = name == "alpha" || name == "alnum" || name == "ascii" || name == "blank" ||
                       name == "cntrl" || name == "digit" || name == "punct" || name == "space" ||
                       name == "word" || name == "xdigit";
    if (!known) return invalid("[:" + std::string(name) + ":] is not supported");
    add(own, part_of(*unicode_set(name), "", negated));
    return ok_status();
  }

  Result<uint32_t> read_code() {
    return pattern_[at_] == '\\' ? read_code_escape(pattern_, at_)
                                 : Result<uint32_t>(next_code_point(pattern_, at_));
  }

  Status read_range(ClassPart& own) {
    CodeRange range{};
    range.first = range.last = TRY(read_code());
    const bool ranged = at_ + 1 < pattern_.size() && pattern_[at_] == '-' &&
                        pattern_[at_ + 1] != ']' && pattern_[at_ + 1] != '[';
    if (ranged) {
      ++at_;
      range.last = TRY(read_code());
      if (range.last < range.first) return invalid("a range of characters is the wrong way round");
    }
    const CodeSet set(std::span(&range, 1));
    add(own, {set, set.in_class(), true});
    return ok_status();
  }

  std::string_view pattern_;
  size_t& at_;
};

}  // namespace

Result<std::optional<ClassPart>> read_set_escape(std::string_view pattern, size_t& at) {
  const char c = at + 1 < pattern.size() ? pattern[at + 1] : '\0';
  if (c == 'p' || c == 'P') {
    at += 2;
    return std::optional(TRY(read_property(pattern, at, c == 'P')));
  }
  const CodeSet* set = c == 's' || c == 'S'   ? &space_set()
                       : c == 'd' || c == 'D' ? unicode_set("Nd")
                       : c == 'w' || c == 'W' ? &word_set()
                       : c == 'h' || c == 'H' ? unicode_set("xdigit")
                                              : nullptr;
  if (set == nullptr) return std::optional<ClassPart>();
  at += 2;
  const char* native = c == 'd' ? "\\p{Nd}" : c == 'w' ? "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}" : "";
  return std::optional(part_of(*set, native, c < 'a'));
}

Result<uint32_t> read_code_escape(std::string_view pattern, size_t& at) {
  if (at + 1 >= pattern.size()) return invalid("the pattern ends with a backslash");
  const char c = pattern[at + 1];
  constexpr std::string_view kLetters = "nrtfvaeb";
  constexpr std::string_view kCodes = "\n\r\t\f\v\a\x1b\b";
  if (const size_t i = kLetters.find(c); i != kLetters.npos) {
    at += 2;
    return static_cast<uint32_t>(kCodes[i]);
  }
  if (c == 'u') {
    const auto digits = pattern.substr(std::min(at + 2, pattern.size()), 4);
    at += 2 + digits.size();
    return read_hex(digits);
  }
  if (c == 'x' && at + 2 < pattern.size() && pattern[at + 2] == '{') {
    const size_t end = std::min(pattern.find('}', at), pattern.size());
    const auto digits = pattern.substr(at + 3, end - at - 3);
    at = std::min(end + 1, pattern.size());
    return read_hex(digits);
  }
  if (c == 'x') {
    const uint32_t code = TRY(read_hex(pattern.substr(at + 2, 2)));
    if (code > 0x7F) return invalid("\\x of a byte above 7f is not supported");
    at += 4;
    return code;
  }
  const bool other = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  if (other) return invalid(std::string("\\") + c + " is not supported");
  return next_code_point(pattern, ++at);
}

Result<std::string> read_class(std::string_view pattern, size_t& at) {
  const ClassPart own = TRY(ClassReader(pattern, at).read(0));
  if (own.plain && !own.text.empty()) return "[" + own.text + "]";
  if (own.set.empty()) return std::string("(?!)");
  return "[" + own.set.in_class() + "]";
}

}  // namespace llmctl
