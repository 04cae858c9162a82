// One [...] of an Oniguruma pattern, and the escapes that stand for sets of characters. Private to
// the translation in oniguruma.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "trainer/tokenizer/pieces/code_set.h"

namespace llmctl {

// A set and how it is written inside [...] in PCRE2: with PCRE2's own names where they are right.
struct ClassPart {
  CodeSet set;
  std::string text;
  bool plain = true;  // text means set; else only the set counts
};

// At `at` stands a backslash. \p{..}, \P{..}, \s, \d, \w, \h and their opposites are sets: `at`
// moves behind them. Nothing: another escape.
Result<std::optional<ClassPart>> read_set_escape(std::string_view pattern, size_t& at);

// At `at` stands an escape of one character (\n, \x41, \u0041, \-): its code point.
Result<uint32_t> read_code_escape(std::string_view pattern, size_t& at);

// At `at` stands '['. Moves behind its ']'. The text has the outer brackets.
Result<std::string> read_class(std::string_view pattern, size_t& at);

}  // namespace llmctl
