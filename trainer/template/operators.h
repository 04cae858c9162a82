// The operators of an expression on values, as Python defines them: comparison, arithmetic,
// concatenation, "in", "not" and signs. "and" and "or" are not here: they need not know their right
// side. Errors name the operator. Pure.
#pragma once

#include <string>

#include "trainer/template/builtins.h"
#include "trainer/template/value.h"

namespace llmctl::jinja {

// `symbol`: + - * / // % ~ == != < <= > >= in.
Result<Value> binary_operator(const std::string& symbol,
                              const Value& a,
                              const Value& b,
                              Budget& budget);
Result<Value> unary_operator(const std::string& symbol, const Value& value);  // not - +

}  // namespace llmctl::jinja
