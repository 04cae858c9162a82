// A template as tokens, with Jinja's white space rules as chat templates are meant: trim_blocks and
// lstrip_blocks are on, '-' strips, '+' keeps, one newline at the end of the file is dropped,
// \r\n is \n. Pure. Errors name the line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace llmctl::jinja {

struct Token {
  enum class Kind {
    data,         // text between tags
    block_begin,  // {%
    block_end,
    output_begin,  // {{
    output_end,
    name,
    text,  // a string literal, unescaped
    integer,
    number,
    symbol,  // an operator or a bracket
    end
  };
  Kind kind = Kind::end;
  std::string text;
  int line = 1;
};

// The last token is `end`. invalid_argument: "line 3: ..."
Result<std::vector<Token>> lex(std::string_view source);

Error at_template_line(int line, const std::string& message);

}  // namespace llmctl::jinja
