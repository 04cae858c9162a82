#include "core/base/utf8.h"

namespace llmctl {
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || length > text.size()) return 0;
  for (size_t k = 1; k < length; ++k) {
    if ((byte(k) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
  const bool out_of_range = (lead == 0xED && second > 0x9F) || (lead == 0xF4 && second > 0x8F);
  return overlong || out_of_range ? 0 : length;
}

std::string valid_utf8(std::string text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_length(std::string_view(text).substr(i));
    if (length == 0) text[i] = '?';
    i += length == 0 ? 1 : length;
  }
  return text;
}

std::string cut_utf8(std::string text, Bytes limit) {
  const auto most = static_cast<size_t>(limit);
  if (text.size() > most) {
    size_t end = most;
    // At most three bytes of a character precede its last one.
    for (int back = 0; back < 3 && end > 0; ++back, --end) {
      if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80) break;
    }
    text.resize(end);
  }
  return valid_utf8(std::move(text));
}

}  // namespace llmctl
