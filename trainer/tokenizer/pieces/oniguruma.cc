#include "trainer/tokenizer/pieces/oniguruma.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "core/base/utf8.h"
#include "trainer/tokenizer/pieces/oniguruma_class.h"
#include "trainer/tokenizer/pieces/unicode_class.h"

namespace llmctl {
namespace {

constexpr size_t kNone = std::string::npos;

class Translator {
 public:
  explicit Translator(std::string_view pattern) : in_(pattern) {}

  Result<std::string> run() {
    groups_.push_back({0, 0});
    while (at_ < in_.size()) TRY(step());
    out_.append(groups_.front().unclosed, ')');
    if (groups_.size() > 1) return invalid("a ( is not closed");
    return std::move(out_);
  }

 private:
  struct Group {
    size_t begin;     // in out_
    size_t unclosed;  // groups that an (?i) inside it opened
  };

  std::string_view rest() const { return in_.substr(at_); }

  void atom(std::string_view text) {
    atom_ = out_.size();
    out_ += text;
  }

  Status step() {
    switch (in_[at_]) {
      case '\\':
        return escape();
      case '[':
        atom(TRY(read_class(in_, at_)));
        return ok_status();
      case '(':
        return open();
      case ')':
        return close();
      case '{':
        return interval();
      case '+':
      case '*':
      case '?':
      case '|':
        if (in_[at_] == '|') atom_ = kNone;
        out_ += in_[at_++];
        return ok_status();
      default:
        const size_t bytes = std::max<size_t>(utf8_length(rest()), 1);
        atom(rest().substr(0, bytes));
        at_ += bytes;
        return ok_status();
    }
  }

  Status escape() {
    if (auto set = TRY(read_set_escape(in_, at_))) {
      atom("[" + set->text + "]");
      return ok_status();
    }
    const char c = at_ + 1 < in_.size() ? in_[at_ + 1] : '\0';
    if (c == 'b' || c == 'B') {
      const std::string word = "[" + word_set().in_class() + "]";
      const bool edge = c == 'b';
      atom("(?:(?<=" + word + (edge ? ")(?!" : ")(?=") + word + ")|(?<!" + word +
           (edge ? ")(?=" : ")(?!") + word + "))");
      at_ += 2;
      return ok_status();
    }
    constexpr std::string_view kSame = "AzZGKRXNgk123456789";
    if (kSame.find(c) != kSame.npos || c == 'O') {
      atom(c == 'O' ? std::string_view("(?s:.)") : rest().substr(0, 2));
      at_ += 2;
      return ok_status();
    }
    const uint32_t code = TRY(read_code_escape(in_, at_));
    const CodeRange range{code, code};
    atom("[" + CodeSet(std::span(&range, 1)).in_class() + "]");
    return ok_status();
  }

  // "(", "(?:", "(?=", "(?<name>", "(?#...)", "(?i)", "(?i:"
  Status open() {
    if (rest().starts_with("(*")) return invalid("(* is not supported");
    if (rest().starts_with("(?#")) {
      const size_t end = in_.find(')', at_);
      if (end == kNone) return invalid("a comment is not closed");
      at_ = end + 1;
      return ok_status();
    }
    if (rest().starts_with("(?~")) return invalid("(?~ is not supported");
    const size_t flags = at_ + 2;
    size_t end = flags;
    const bool asks = rest().starts_with("(?");
    while (asks && end < in_.size() && std::string_view("imx-").find(in_[end]) != kNone) ++end;
    if (end > flags && end < in_.size() && (in_[end] == ')' || in_[end] == ':')) {
      return open_with_flags(in_.substr(flags, end - flags), end);
    }
    groups_.push_back({out_.size(), 0});
    out_ += in_[at_++];
    if (!asks) return ok_status();
    out_ += in_[at_++];
    if (rest().starts_with('<') && !rest().starts_with("<=") && !rest().starts_with("<!")) {
      const size_t close = in_.find('>', at_);
      if (close == kNone) return invalid("the name of a group does not end");
      out_ += in_.substr(at_, close + 1 - at_);
      at_ = close + 1;
    } else {
      while (at_ < in_.size() && std::string_view("<:=!>").find(in_[at_]) != kNone) {
        const bool last = in_[at_] != '<';
        out_ += in_[at_++];
        if (last) break;
      }
    }
    return ok_status();
  }

  // Oniguruma's (?i) holds up to the end of its group, over every | on the way.
  Status open_with_flags(std::string_view flags, size_t end) {
    if (flags.find('x') != kNone) return invalid("(?x) is not supported");
    const bool alone = in_[end] == ')';
    if (alone) {
      ++groups_.back().unclosed;
    } else {
      groups_.push_back({out_.size(), 0});
    }
    out_ += "(?";
    for (const char flag : flags) out_ += flag == 'm' ? 's' : flag;  // its (?m): "." is any
    out_ += ':';
    atom_ = kNone;
    at_ = end + 1;
    return ok_status();
  }

  Status close() {
    if (groups_.size() < 2) return invalid("a ) has no (");
    out_.append(groups_.back().unclosed + 1, ')');
    atom_ = groups_.back().begin;
    groups_.pop_back();
    ++at_;
    return ok_status();
  }

  // {n}, {n,}, {,m} or {n,m}; else the brace is a character.
  Status interval() {
    size_t end = at_ + 1;
    while (end < in_.size() && std::isdigit(static_cast<uint8_t>(in_[end])) != 0) ++end;
    const std::string least(in_.substr(at_ + 1, end - at_ - 1));
    const bool comma = end < in_.size() && in_[end] == ',';
    const size_t second = end + (comma ? 1 : 0);
    end = second;
    while (comma && end < in_.size() && std::isdigit(static_cast<uint8_t>(in_[end])) != 0) ++end;
    const std::string most(in_.substr(second, end - second));
    if (end >= in_.size() || in_[end] != '}' || (least.empty() && most.empty())) {
      atom("\\{");
      ++at_;
      return ok_status();
    }
    if (atom_ == kNone) return invalid("{ repeats nothing");
    out_ += "{" + (least.empty() ? "0" : least) + (comma ? "," : "") + most + "}";
    at_ = end + 1;
    const bool again = rest().starts_with('+') || (!comma && rest().starts_with('?'));
    if (again) {  // repeats what is repeated, where PCRE2 would read a possessive
      out_.insert(atom_, "(?:");
      out_ += ")";
    }
    return ok_status();
  }

  std::string_view in_;
  size_t at_ = 0;
  std::string out_;
  size_t atom_ = kNone;  // where what a quantifier would repeat begins in out_
  std::vector<Group> groups_;
};

}  // namespace

Result<std::string> oniguruma_to_pcre2(std::string_view pattern) {
  return Translator(pattern).run();
}

}  // namespace llmctl
