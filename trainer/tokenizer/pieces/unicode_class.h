// What splitting patterns ask of a character: \p{L}, \p{N} or \s. The tables of the installed
// PCRE2 and utf8proc are of different Unicode versions and older than those of the reference
// implementation, so the letters and numbers that Unicode added since 14.0 are listed here and both
// the hand-written splitter and PCRE2 use them. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>

namespace llmctl {

struct CodeRange {
  uint32_t first, last;
};

enum class CharClass : uint8_t { other, letter, number, space };

// One entry per code point below kClassedCodePoints; all above are `other`. Built on first use.
inline constexpr uint32_t kClassedCodePoints = 0x32400;
const CharClass* char_classes();

// For the inside of [...] in PCRE2: what \p{L}, \p{N} and \s mean here.
const std::string& letter_ranges();
const std::string& number_ranges();
const std::string& space_ranges();

}  // namespace llmctl
