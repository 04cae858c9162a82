// From UTF-8 to code points and back. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/utf8.h"

namespace llmctl {

// The character at `at`, which moves behind it; a byte that begins none is its own value.
// Requires at < text.size().
inline uint32_t next_code_point(std::string_view text, size_t& at) {
  const size_t bytes = std::max<size_t>(utf8_length(text.substr(at)), 1);
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(text[i])); };
  uint32_t code = bytes == 1 ? byte(at) : byte(at) & (0xFFu >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) code = code << 6 | (byte(at + i) & 0x3F);
  at += bytes;
  return code;
}

inline void append_utf8(uint32_t code, std::string& text) {
  const auto put = [&](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xC0 | code >> 6);
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
  }
  put(0x80 | (code & 0x3F));
}

}  // namespace llmctl
