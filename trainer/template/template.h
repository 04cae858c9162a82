// A Jinja template as chat templates are written (Hugging Face's `chat_template`), rendered as PyPI
// jinja2 does with trim_blocks, lstrip_blocks, break and continue, raise_exception, and tojson that
// keeps characters. The subset: if, for, set, filters, tests, methods, namespace, range. Templates
// are hostile: nesting, steps and bytes are bounded, nothing outside is reachable. Immutable; any
// thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "trainer/template/value.h"

namespace llmctl::jinja {

class Template {
 public:
  // `name` stands for the file in errors: "chat_template.jinja: line 3: ...".
  static Result<Template> parse(std::string_view source, std::string_view name);
  // invalid_argument: the template's own complaint, what it cannot do with these values, or a
  // limit.
  Result<std::string> render(const Members& values) const;
  const std::string& source() const;

 private:
  struct Parts;
  explicit Template(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}
  std::shared_ptr<const Parts> parts_;
};

}  // namespace llmctl::jinja
