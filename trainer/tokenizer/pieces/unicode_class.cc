#include "trainer/tokenizer/pieces/unicode_class.h"

#include <utf8proc.h>

#include <cstdio>
#include <span>
#include <vector>

namespace llmctl {
namespace {

// General_Category L* and N* of Unicode 16.0 that 14.0 has not (derived from UnicodeData.txt).
constexpr CodeRange kNewLetters[] = {
    {0x1C89, 0x1C8A},   {0xA7CB, 0xA7CD},   {0xA7DA, 0xA7DC},   {0x105C0, 0x105F3},
    {0x10D4A, 0x10D65}, {0x10D6F, 0x10D85}, {0x10EC2, 0x10EC4}, {0x1123F, 0x11240},
    {0x11380, 0x11389}, {0x1138B, 0x1138B}, {0x1138E, 0x1138E}, {0x11390, 0x113B5},
    {0x113B7, 0x113B7}, {0x113D1, 0x113D1}, {0x113D3, 0x113D3}, {0x11BC0, 0x11BE0},
    {0x11F02, 0x11F02}, {0x11F04, 0x11F10}, {0x11F12, 0x11F33}, {0x1342F, 0x1342F},
    {0x13441, 0x13446}, {0x13460, 0x143FA}, {0x16100, 0x1611D}, {0x16D40, 0x16D6C},
    {0x18CFF, 0x18CFF}, {0x1B132, 0x1B132}, {0x1B155, 0x1B155}, {0x1DF25, 0x1DF2A},
    {0x1E030, 0x1E06D}, {0x1E4D0, 0x1E4EB}, {0x1E5D0, 0x1E5ED}, {0x1E5F0, 0x1E5F0},
    {0x2B739, 0x2B739}, {0x2EBF0, 0x2EE5D}, {0x31350, 0x323AF}};
constexpr CodeRange kNewNumbers[] = {{0x10D40, 0x10D49}, {0x116D0, 0x116E3}, {0x11BF0, 0x11BF9},
                                     {0x11F50, 0x11F59}, {0x16130, 0x16139}, {0x16D70, 0x16D79},
                                     {0x1CCF0, 0x1CCF9}, {0x1D2C0, 0x1D2D3}, {0x1E4F0, 0x1E4F9},
                                     {0x1E5F1, 0x1E5FA}};
// White_Space. PCRE2's \s also takes U+180E, which is none since Unicode 6.3.
constexpr CodeRange kSpaces[] = {
    {0x9, 0xD},       {0x20, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},     {0x1680, 0x1680},
    {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}};

CharClass category_class(uint32_t code) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) {
    return CharClass::letter;
  }
  const bool number = category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
  return number ? CharClass::number : CharClass::other;
}

void mark(std::vector<CharClass>& classes, std::span<const CodeRange> ranges, CharClass kind) {
  for (const CodeRange& range : ranges) {
    for (uint32_t code = range.first; code <= range.last; ++code) classes[code] = kind;
  }
}

std::string as_pattern(std::string text, std::span<const CodeRange> ranges) {
  for (const CodeRange& range : ranges) {
    char part[32];
    std::snprintf(part, sizeof(part), "\\x{%x}-\\x{%x}", range.first, range.last);
    text += part;
  }
  return text;
}

}  // namespace

const CharClass* char_classes() {
  static const std::vector<CharClass> table = [] {
    std::vector<CharClass> classes(kClassedCodePoints);
    for (uint32_t code = 0; code < kClassedCodePoints; ++code) classes[code] = category_class(code);
    mark(classes, kNewLetters, CharClass::letter);
    mark(classes, kNewNumbers, CharClass::number);
    mark(classes, kSpaces, CharClass::space);
    return classes;
  }();
  return table.data();
}

const std::string& letter_ranges() {
  static const std::string text = as_pattern("\\p{L}", kNewLetters);
  return text;
}

const std::string& number_ranges() {
  static const std::string text = as_pattern("\\p{N}", kNewNumbers);
  return text;
}

const std::string& space_ranges() {
  static const std::string text = as_pattern("", kSpaces);
  return text;
}

}  // namespace llmctl
