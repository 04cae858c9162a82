#include "trainer/template/text.h"

#include <utf8proc.h>

#include <algorithm>

#include "core/base/utf8.h"

namespace llmctl::jinja {
namespace {

size_t character_bytes(std::string_view rest) {
  return std::max<size_t>(utf8_length(rest), 1);
}

int32_t code_of(std::string_view character) {
  utf8proc_int32_t code = -1;
  utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(character.data()),
                   static_cast<utf8proc_ssize_t>(character.size()), &code);
  return code;
}

bool is_space(std::string_view character) {
  const int32_t c = code_of(character);
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

void append(std::string& out, std::string_view character, bool upper) {
  const int32_t code = code_of(character);
  if (code < 0) {
    out += character;
    return;
  }
  utf8proc_uint8_t bytes[4];
  const auto n =
      utf8proc_encode_char(upper ? utf8proc_toupper(code) : utf8proc_tolower(code), bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(n));
}

bool is_letter(std::string_view character) {
  switch (utf8proc_category(std::max(code_of(character), 0))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
      return true;
    default:
      return false;
  }
}

std::vector<std::string_view> split_at_spaces(std::string_view text, int64_t most) {
  std::vector<std::string_view> parts;
  std::string_view rest = strip(text, "", true, false);
  while (!rest.empty()) {
    if (most >= 0 && static_cast<int64_t>(parts.size()) == most) {
      parts.push_back(rest);  // with the spaces at its end, as in Python
      return parts;
    }
    size_t end = 0;
    while (end < rest.size()) {
      const size_t n = character_bytes(rest.substr(end));
      if (is_space(rest.substr(end, n))) break;
      end += n;
    }
    parts.push_back(rest.substr(0, end));
    rest = strip(rest.substr(end), "", true, false);
  }
  return parts;
}

}  // namespace

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> all;
  while (!text.empty()) {
    all.push_back(text.substr(0, character_bytes(text)));
    text.remove_prefix(all.back().size());
  }
  return all;
}

std::string_view strip(std::string_view text, std::string_view set, bool left, bool right) {
  const auto stripped = [&](std::string_view character) {
    return set.empty() ? is_space(character) : set.find(character) != set.npos;
  };
  while (left && !text.empty()) {
    const size_t n = character_bytes(text);
    if (!stripped(text.substr(0, n))) break;
    text.remove_prefix(n);
  }
  while (right && !text.empty()) {
    size_t n = 1;
    const auto inside = [&] {
      return (static_cast<uint8_t>(text[text.size() - n]) & 0xC0) == 0x80;
    };
    while (n < 4 && n < text.size() && inside()) ++n;
    if (utf8_length(text.substr(text.size() - n)) != n) n = 1;
    if (!stripped(text.substr(text.size() - n))) break;
    text.remove_suffix(n);
  }
  return text;
}

std::string with_letters(std::string_view text, Letters letters) {
  std::string out;
  bool first = true;  // of the text or, for a title, of a word
  for (const std::string_view character : characters(text)) {
    append(out, character, letters == Letters::upper || (first && letters != Letters::lower));
    first = letters == Letters::title && !is_letter(character);
  }
  return out;
}

std::vector<std::string_view> split(std::string_view text,
                                    std::string_view separator,
                                    int64_t most) {
  if (separator.empty()) return split_at_spaces(text, most);
  std::vector<std::string_view> parts;
  while (most < 0 || static_cast<int64_t>(parts.size()) < most) {
    const size_t end = text.find(separator);
    if (end == text.npos) break;
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end + separator.size());
  }
  parts.push_back(text);
  return parts;
}

std::string replace(std::string_view text,
                    std::string_view from,
                    std::string_view to,
                    int64_t most) {
  std::string out;
  for (; most != 0; --most) {
    const size_t at = text.find(from);
    if (at == text.npos) break;
    out += text.substr(0, at);
    out += to;
    text.remove_prefix(at + from.size());
  }
  return out += text;
}

}  // namespace llmctl::jinja
