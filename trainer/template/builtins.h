// The filters, tests and methods that a template may use: those of Jinja and of Python's str, dict
// and list that public chat templates call. Any other name is an error, never a silent difference.
#pragma once

#include "trainer/template/value.h"

namespace llmctl::jinja {

// The steps and bytes that one rendering may still use: a hostile template ends when they are
// spent.
class Budget {
 public:
  Status charge(size_t bytes = 0);

 private:
  int64_t left_ = 2'000'000;  // steps; 64 bytes made are one
};

struct Arguments {
  Items values;
  Members named;
  // By place or by name; `otherwise` when absent.
  Value get(size_t place, const char* name, Value otherwise) const;
};

Result<Value> apply_filter(const std::string& name,
                           const Value& value,
                           const Arguments& arguments,
                           Budget& budget);
Result<bool> apply_test(const std::string& name, const Value& value, const Items& arguments);
Result<Value> call_method(const Value& object,
                          const std::string& name,
                          const Arguments& arguments,
                          Budget& budget);

Error not_for(const std::string& name, const Value& value);  // "length: not for a number"
// The text itself, or not_for(name).
Result<std::string> text_argument(const std::string& name, const Value& value);

Result<int64_t> length_of(const Value& value);
// What a loop walks over: items, characters or keys; nothing for an undefined value.
Result<Items> items_of(const Value& value);
Result<bool> contains(const Value& where, const Value& what);
Result<Value> pairs_of(const Value& map);  // [[key, value], ...]

}  // namespace llmctl::jinja
