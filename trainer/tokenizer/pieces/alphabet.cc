#include "trainer/tokenizer/pieces/alphabet.h"

#include <array>

#include "core/base/utf8.h"

namespace llmctl {
namespace {

struct Alphabet {
  std::array<std::string, 256> chars;
  std::array<int16_t, 0x144> byte_of;  // by code point; -1: none

  Alphabet() {
    byte_of.fill(-1);
    uint32_t next = 0x100;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const bool visible = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
      const uint32_t code = visible ? byte : next++;
      byte_of[code] = static_cast<int16_t>(byte);
      if (code < 0x80) {
        chars[byte] = {static_cast<char>(code)};
      } else {
        chars[byte] = {static_cast<char>(0xC0 | (code >> 6)),
                       static_cast<char>(0x80 | (code & 0x3F))};
      }
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet instance;
  return instance;
}

}  // namespace

const std::string& alphabet_char(uint8_t byte) {
  return alphabet().chars[byte];
}

std::string in_alphabet(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += alphabet_char(static_cast<uint8_t>(byte));
  return text;
}

std::optional<std::string> alphabet_bytes(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_length(text.substr(i));
    if (length == 0 || length > 2) return std::nullopt;
    auto code = static_cast<uint32_t>(static_cast<uint8_t>(text[i]));
    if (length == 2) code = ((code & 0x1F) << 6) | (static_cast<uint8_t>(text[i + 1]) & 0x3F);
    if (code >= alphabet().byte_of.size() || alphabet().byte_of[code] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(alphabet().byte_of[code]));
    i += length;
  }
  return bytes;
}

}  // namespace llmctl
