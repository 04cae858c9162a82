#include "trainer/template/lexer.h"

#include <algorithm>
#include <cstdint>

namespace llmctl::jinja {
namespace {

constexpr std::string_view kSpaces = " \t\n\r\v\f";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}

std::string unix_lines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      text += source[i];
    } else if (i + 1 == source.size() || source[i + 1] != '\n') {
      text += '\n';
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  Result<std::vector<Token>> run() {
    while (at_ < source_.size()) {
      const size_t tag = next_tag();
      std::string data(source_.substr(at_, tag - at_));
      if (tag == source_.size()) {
        push_data(std::move(data));
        at_ = tag;
        break;
      }
      const char kind = source_[tag + 1];
      const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
      const size_t lines = count_lines(data);
      strip_before(data, kind, sign);
      push_data(std::move(data));
      line_ += static_cast<int>(lines);
      at_ = tag + 2 + (sign == '-' || sign == '+' ? 1 : 0);
      TRY(kind == '#' ? comment() : inside(kind));
    }
    push(Token::Kind::end, "");
    return std::move(tokens_);
  }

 private:
  static size_t count_lines(std::string_view text) {
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  size_t next_tag() const {
    for (size_t i = source_.find('{', at_); i != source_.npos; i = source_.find('{', i + 1)) {
      const char next = i + 1 < source_.size() ? source_[i + 1] : ' ';
      if (next == '{' || next == '%' || next == '#') return i;
    }
    return source_.size();
  }
  void push(Token::Kind kind, std::string text) {
    tokens_.push_back({kind, std::move(text), line_});
  }
  void push_data(std::string data) {
    if (!data.empty()) push(Token::Kind::data, std::move(data));
  }

  // What a tag takes away from the text before it.
  void strip_before(std::string& data, char kind, char sign) const {
    if (sign == '-') {
      data.erase(data.find_last_not_of(kSpaces) + 1);  // npos + 1 is 0
    } else if (kind != '{' && sign != '+') {
      const size_t line = data.rfind('\n') + 1;
      if (line == 0 && !line_starts_) return;
      if (data.find_first_not_of(kSpaces, line) == data.npos) data.erase(line);
    }
  }

  // `at_` is behind the end of a tag; `sign` stood before it.
  void strip_after(char sign, bool block) {
    const size_t begin = at_;
    if (sign == '-') {
      at_ = std::min(source_.find_first_not_of(kSpaces, at_), source_.size());
    } else if (block && sign != '+' && at_ < source_.size() && source_[at_] == '\n') {
      ++at_;
    }
    line_starts_ = at_ > begin && source_[at_ - 1] == '\n';
    line_ += static_cast<int>(count_lines(source_.substr(begin, at_ - begin)));
  }

  Status comment() {
    const size_t end = source_.find("#}", at_);
    if (end == source_.npos) return at_template_line(line_, "a comment does not end");
    const char sign = end > at_ ? source_[end - 1] : ' ';
    line_ += static_cast<int>(count_lines(source_.substr(at_, end - at_)));
    at_ = end + 2;
    strip_after(sign, true);
    return ok_status();
  }

  Status inside(char kind) {
    const bool block = kind == '%';
    push(block ? Token::Kind::block_begin : Token::Kind::output_begin, "");
    const std::string_view end = block ? "%}" : "}}";
    brackets_.clear();
    while (at_ < source_.size()) {
      const std::string_view rest = source_.substr(at_);
      const bool sign = rest[0] == '-' || (block && rest[0] == '+');
      if (brackets_.empty() && rest.substr(sign ? 1 : 0).starts_with(end)) {
        push(block ? Token::Kind::block_end : Token::Kind::output_end, "");
        at_ += end.size() + (sign ? 1 : 0);
        strip_after(sign ? rest[0] : ' ', block);
        return ok_status();
      }
      TRY(token(rest));
    }
    return at_template_line(line_, std::string("\"") + (block ? "{%" : "{{") + "\" does not end");
  }

  Status token(std::string_view rest) {
    const char c = rest[0];
    if (kSpaces.find(c) != kSpaces.npos) {
      line_ += c == '\n' ? 1 : 0;
      ++at_;
      return ok_status();
    }
    if (c == '\'' || c == '"') return literal(c);
    if (is_digit(c)) return number(rest);
    if (is_name_char(c)) {
      size_t n = 1;
      while (n < rest.size() && is_name_char(rest[n])) ++n;
      push(Token::Kind::name, std::string(rest.substr(0, n)));
      at_ += n;
      return ok_status();
    }
    return symbol(rest);
  }

  Status number(std::string_view rest) {
    size_t n = 0;
    const auto digits = [&] {
      while (n < rest.size() && (is_digit(rest[n]) || rest[n] == '_')) ++n;
    };
    digits();
    const bool point = n + 1 < rest.size() && rest[n] == '.' && is_digit(rest[n + 1]);
    if (point) {
      ++n;
      digits();
    }
    const size_t sign = n + 1 < rest.size() && (rest[n + 1] == '+' || rest[n + 1] == '-') ? 1 : 0;
    const bool power = n + 1 + sign < rest.size() && (rest[n] == 'e' || rest[n] == 'E') &&
                       is_digit(rest[n + 1 + sign]);
    if (power) {
      n += 1 + sign;
      digits();
    }
    std::string text(rest.substr(0, n));
    std::erase(text, '_');
    push(point || power ? Token::Kind::number : Token::Kind::integer, std::move(text));
    at_ += n;
    return ok_status();
  }

  Status symbol(std::string_view rest) {
    for (const std::string_view two : {"==", "!=", "<=", ">=", "//", "**"}) {
      if (!rest.starts_with(two)) continue;
      push(Token::Kind::symbol, std::string(two));
      at_ += 2;
      return ok_status();
    }
    const char c = rest[0];
    if (std::string_view("+-*/%~<>=.,:|()[]{}").find(c) == std::string_view::npos) {
      return at_template_line(line_, std::string("unexpected character '") + c + "'");
    }
    if (c == '(' || c == '[' || c == '{') brackets_.push_back(c);
    if (c == ')' || c == ']' || c == '}') {
      const char open = c == ')' ? '(' : c == ']' ? '[' : '{';
      if (brackets_.empty() || brackets_.back() != open) {
        return at_template_line(line_, std::string("unexpected '") + c + "'");
      }
      brackets_.pop_back();
    }
    push(Token::Kind::symbol, std::string(1, c));
    ++at_;
    return ok_status();
  }

  Status literal(char quote) {
    const int begin = line_;
    std::string text;
    for (++at_; at_ < source_.size() && source_[at_] != quote; ++at_) {
      if (source_[at_] == '\n') ++line_;
      if (source_[at_] != '\\') {
        text += source_[at_];
      } else {
        TRY(escape(text));
      }
    }
    if (at_ >= source_.size()) return at_template_line(begin, "a string does not end");
    ++at_;
    tokens_.push_back({Token::Kind::text, std::move(text), begin});
    return ok_status();
  }

  // As Python reads it: what is no escape keeps its backslash. `at_` ends on the last character.
  Status escape(std::string& text) {
    if (++at_ >= source_.size()) return ok_status();
    const char c = source_[at_];
    constexpr std::string_view kFrom = "ntrbfav\\'\"0", kTo("\n\t\r\b\f\a\v\\'\"\0", 11);
    if (const size_t i = kFrom.find(c); i != kFrom.npos) {
      text += kTo[i];
    } else if (c == '\n') {
      ++line_;
    } else if (c == 'u' || c == 'x') {
      uint32_t code = 0;
      for (int left = c == 'u' ? 4 : 2; left > 0; --left) {
        const char digit = ++at_ < source_.size() ? source_[at_] : ' ';
        const size_t value = std::string_view("0123456789abcdef0123456789ABCDEF").find(digit);
        if (value == std::string_view::npos) return at_template_line(line_, "a bad \\u escape");
        code = code * 16 + static_cast<uint32_t>(value % 16);
      }
      if (code >= 0xD800 && code < 0xE000) return at_template_line(line_, "a bad \\u escape");
      append_utf8(text, code);
    } else {
      text += '\\';
      text += c;
    }
    return ok_status();
  }

  std::string_view source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starts_ = true;  // the last tag took the newline behind it
  std::string brackets_;     // open ones of this tag
  std::vector<Token> tokens_;
};

}  // namespace

Error at_template_line(int line, const std::string& message) {
  return {Code::invalid_argument, "line " + std::to_string(line) + ": " + message, ""};
}

Result<std::vector<Token>> lex(std::string_view source) {
  const std::string text = unix_lines(source);
  return Lexer(text).run();
}

}  // namespace llmctl::jinja
