// What an expression is worth, given the variables of a rendering. Errors name the template's line.
#pragma once

#include <string>
#include <vector>

#include "trainer/template/builtins.h"
#include "trainer/template/nodes.h"

namespace llmctl::jinja {

struct Variables {
  std::vector<Members> scopes;  // outermost first; `set` writes into the innermost
  Budget budget;

  Value get(const std::string& name) const;  // undefined when there is none
  // {"name"}, or {"namespace", "attribute"}.
  Status set(const std::vector<std::string>& names, const Value& value, int line);
};

Result<Value> evaluate(const Expr& expression, Variables& variables);

}  // namespace llmctl::jinja
