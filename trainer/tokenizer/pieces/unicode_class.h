// What Unicode 16 says of characters, in one place: general categories, scripts and what is made of
// them. The tables are generated (make_unicode_tables.py), because the installed PCRE2 and utf8proc
// follow other versions than the reference implementation, PyPI `tokenizers`. Pure; any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "trainer/tokenizer/pieces/code_set.h"

namespace llmctl {

enum class CharClass : uint8_t { other, letter, number, space };

// One entry per code point below kClassedCodePoints; all above are `other`. Built on first use.
inline constexpr uint32_t kClassedCodePoints = 0x32400;
const CharClass* char_classes();

// The set that \p{NAME} means: a general category ("L", "Lu", "Letter", "Uppercase_Letter"), a
// script ("Han") or one of Oniguruma's own ("Alpha", "Word"). Case, spaces, '_' and '-' do not
// count. Null: unknown.
const CodeSet* unicode_set(std::string_view name);

const char* script_of(uint32_t code);  // "Han", as UnicodeScripts has it; null: none

// Where the parts of the reference differ from each other.
const CodeSet& space_set();                  // White_Space
const CodeSet& word_set();                   // \w of its patterns
const CodeSet& rust_word_set();              // \w of its Whitespace, and of single_word
const CodeSet& reference_punctuation_set();  // of its Punctuation and BertPreTokenizer
const CodeSet& reference_mark_set();         // what StripAccents drops
const CodeSet& reference_accent_set();       // what BertNormalizer drops, a part of those
const CodeSet& reference_control_set();      // what BertNormalizer cleans away
uint32_t lower_of(uint32_t code);            // its one small letter, or itself

}  // namespace llmctl
