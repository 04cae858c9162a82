// The methods of Python's str that a template may call; the filters of the same names use them too.
// Errors name the method. Pure.
#pragma once

#include <string>

#include "trainer/template/builtins.h"

namespace llmctl::jinja {

// Requires a text.
Result<Value> call_text_method(const Value& text,
                               const std::string& name,
                               const Arguments& a,
                               Budget& budget);

}  // namespace llmctl::jinja
