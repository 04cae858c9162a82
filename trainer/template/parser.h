// Tokens to trees, by recursive descent with Jinja's precedence. The subset that chat templates
// use: output, if, for, set, break, continue, generation; what is left out (macros, imports,
// inheritance) is named as an error. Bounded in nesting and size. Pure.
#pragma once

#include <string_view>

#include "trainer/template/nodes.h"

namespace llmctl::jinja {

// invalid_argument: "line 3: ..."
Result<Body> parse(std::string_view source);

}  // namespace llmctl::jinja
