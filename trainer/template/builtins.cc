#include "trainer/template/builtins.h"

#include <algorithm>

#include "trainer/template/text.h"
#include "trainer/template/text_methods.h"

namespace llmctl::jinja {

using Kind = Value::Kind;

Error not_for(const std::string& name, const Value& value) {
  return invalid(name + ": not for " + name_of(value.kind()));
}

Result<std::string> text_argument(const std::string& name, const Value& value) {
  if (!value.is(Kind::text)) return not_for(name, value);
  return value.text();
}

Status Budget::charge(size_t bytes) {
  left_ -= 1 + static_cast<int64_t>(std::min<size_t>(bytes, size_t{1} << 40) / 64);
  return left_ >= 0 ? ok_status() : Status(invalid("the template takes too many steps"));
}

Value Arguments::get(size_t place, const char* name, Value otherwise) const {
  if (place < values.size()) return values[place];
  for (const auto& [own, value] : named) {
    if (own == name) return value;
  }
  return otherwise;
}

Result<int64_t> length_of(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      return int64_t{0};
    case Kind::text:
      return static_cast<int64_t>(characters(value.text()).size());
    case Kind::list:
      return static_cast<int64_t>(value.items().size());
    case Kind::map:
      return static_cast<int64_t>(value.members().size());
    default:
      return not_for("length", value);
  }
}

Result<Items> items_of(const Value& value) {
  Items items;
  switch (value.kind()) {
    case Kind::undefined:
      break;
    case Kind::text:
      for (const auto c : characters(value.text())) items.emplace_back(std::string(c));
      break;
    case Kind::list:
      return value.items();
    case Kind::map:
      for (const auto& [key, member] : value.members()) items.emplace_back(key);
      break;
    default:
      return invalid(std::string("cannot loop over ") + name_of(value.kind()));
  }
  return items;
}

Result<bool> contains(const Value& where, const Value& what) {
  switch (where.kind()) {
    case Kind::undefined:
      return false;
    case Kind::text:
      if (!what.is(Kind::text)) return not_for("in", what);
      return where.text().find(what.text()) != std::string::npos;
    case Kind::list:
      return std::find(where.items().begin(), where.items().end(), what) != where.items().end();
    case Kind::map:
    case Kind::name_space:
      return what.is(Kind::text) && where.find(what.text()) != nullptr;
    default:
      return not_for("in", where);
  }
}

Result<Value> pairs_of(const Value& map) {
  if (!map.is(Kind::map)) return not_for("items", map);
  Items pairs;
  for (const auto& [key, value] : map.members()) {
    pairs.push_back(TRY(Value::list({Value(key), value})));
  }
  return Value::list(std::move(pairs));
}

Result<bool> apply_test(const std::string& name, const Value& value, const Items& arguments) {
  const Kind kind = value.kind();
  if (name == "defined") return kind != Kind::undefined;
  if (name == "undefined") return kind == Kind::undefined;
  if (name == "none") return kind == Kind::none;
  if (name == "string") return kind == Kind::text;
  if (name == "mapping") return kind == Kind::map;
  if (name == "number") return value.is_number() || kind == Kind::large;
  if (name == "integer") return kind == Kind::integer || kind == Kind::large;
  if (name == "float") return kind == Kind::number;
  if (name == "boolean") return kind == Kind::boolean;
  if (name == "true" || name == "false") {
    return kind == Kind::boolean && value.truth() == (name == "true");
  }
  if (name == "sequence" || name == "iterable") {
    return kind == Kind::text || kind == Kind::list || kind == Kind::map ||
           (kind == Kind::undefined && name == "iterable");
  }
  if (name == "odd" || name == "even") {
    if (!value.is_number()) return not_for(name, value);
    return (value.integer() % 2 != 0) == (name == "odd");
  }
  if (arguments.empty()) return invalid("there is no test " + name);
  const Value& other = arguments.front();
  if (name == "eq" || name == "equalto" || name == "sameas") return value == other;
  if (name == "ne") return !(value == other);
  if (name == "in") return contains(other, value);
  return invalid("there is no test " + name);
}

Result<Value> call_method(const Value& object,
                          const std::string& name,
                          const Arguments& a,
                          Budget& budget) {
  TRY(budget.charge());
  if (object.is(Kind::text)) return call_text_method(object, name, a, budget);
  if (object.is(Kind::map)) {
    if (name == "items") return pairs_of(object);
    if (name == "get") {
      const Value key = a.get(0, "key", Value());
      const Value* found = key.is(Kind::text) ? object.find(key.text()) : nullptr;
      return found != nullptr ? *found : a.get(1, "default", Value::none());
    }
    if (name == "keys") return Value::list(TRY(items_of(object)));
    if (name == "values") {
      Items values;
      for (const auto& member : object.members()) values.push_back(member.second);
      return Value::list(std::move(values));
    }
  }
  return invalid(std::string(name_of(object.kind())) + " has no method " + name);
}

}  // namespace llmctl::jinja
