#include "trainer/template/builtins.h"

#include <algorithm>
#include <charconv>

#include "trainer/template/text.h"

namespace llmctl::jinja {
namespace {

using Kind = Value::Kind;

Error not_for(const std::string& name, const Value& value) {
  return invalid(name + ": not for " + name_of(value.kind()));
}

Result<std::string> text_argument(const std::string& name, const Value& value) {
  if (!value.is(Kind::text)) return not_for(name, value);
  return value.text();
}

Result<Value> list_of(const std::vector<std::string_view>& parts) {
  Items items;
  for (const std::string_view part : parts) items.emplace_back(std::string(part));
  return Value::list(std::move(items));
}

Result<Value> stripped(const std::string& name, const Value& text, const Arguments& a) {
  const Value set = a.get(0, "chars", Value::none());
  if (!set.is(Kind::none) && !set.is(Kind::text)) return not_for(name, set);
  const bool left = name != "rstrip", right = name != "lstrip";
  const std::string chars = set.is(Kind::text) ? set.text() : "";
  return Value(std::string(strip(text.text(), chars, left, right)));
}

Result<Value> starts_or_ends(const std::string& name, const Value& text, const Value& with) {
  Items choices = {with};
  if (with.is(Kind::list)) choices = with.items();
  for (const Value& choice : choices) {
    const std::string affix = TRY(text_argument(name, choice));
    const bool found =
        name == "startswith" ? text.text().starts_with(affix) : text.text().ends_with(affix);
    if (found) return Value(true);
  }
  return Value(false);
}

Result<Value> replaced(const Value& text, const Arguments& a, Budget& budget) {
  const std::string from = TRY(text_argument("replace", a.get(0, "old", Value())));
  const std::string to = TRY(text_argument("replace", a.get(1, "new", Value())));
  const Value most = a.get(2, "count", Value(int64_t{-1}));
  if (from.empty()) return invalid("replace: the text to replace is empty");
  if (!most.is(Kind::integer)) return not_for("replace", most);
  TRY(budget.charge(text.text().size() / from.size() * to.size()));
  return Value(replace(text.text(), from, to, most.integer()));
}

Result<Value> joined(const Value& value, const Arguments& a, Budget& budget) {
  const Value separator = a.get(0, "d", Value(""));
  if (!separator.is(Kind::text)) return not_for("join", separator);
  const Value attribute = a.get(1, "attribute", Value());
  std::string out;
  bool first = true;
  for (Value item : TRY(items_of(value))) {
    if (attribute.is(Kind::text)) {
      const Value* member = item.is(Kind::map) ? item.find(attribute.text()) : nullptr;
      item = member != nullptr ? *member : Value();
    }
    if (!first) out += separator.text();
    first = false;
    out += TRY(text_of(item));
    TRY(budget.charge(separator.text().size()));
  }
  TRY(budget.charge(out.size()));
  return Value(std::move(out));
}

// selectattr("role", "equalto", "user"), rejectattr(...): items by a test of one member.
Result<Value> selected(const std::string& name, const Value& value, const Arguments& a) {
  const bool by_member = name.ends_with("attr");
  const size_t first = by_member ? 1 : 0;
  const std::string key = by_member ? TRY(text_argument(name, a.get(0, "", Value()))) : "";
  const Value test = a.get(first, "", Value());
  Items rest;
  if (a.values.size() > first + 1) {
    rest.assign(a.values.begin() + static_cast<ptrdiff_t>(first) + 1, a.values.end());
  }
  Items kept;
  for (const Value& item : TRY(items_of(value))) {
    const Value* member = by_member && item.is(Kind::map) ? item.find(key) : nullptr;
    const Value tested = !by_member ? item : member != nullptr ? *member : Value();
    const bool chosen =
        test.is(Kind::text) ? TRY(apply_test(test.text(), tested, rest)) : tested.truth();
    if (chosen == name.starts_with("select")) kept.push_back(item);
  }
  return Value::list(std::move(kept));
}

// map(attribute="content"), map("trim").
Result<Value> mapped(const Value& value, const Arguments& a, Budget& budget) {
  const Value attribute = a.get(9, "attribute", Value()), filter = a.get(0, "", Value());
  Items items;
  for (const Value& item : TRY(items_of(value))) {
    if (attribute.is(Kind::text)) {
      const Value* member = item.is(Kind::map) ? item.find(attribute.text()) : nullptr;
      items.push_back(member != nullptr ? *member : Value());
    } else {
      const std::string name = TRY(text_argument("map", filter));
      items.push_back(TRY(apply_filter(name, item, {}, budget)));
    }
  }
  return Value::list(std::move(items));
}

Result<Value> to_integer(const Value& value, const Arguments& a) {
  if (value.is(Kind::number)) return Value(static_cast<int64_t>(value.number()));
  if (value.is_number()) return Value(value.integer());
  int64_t number = 0;
  if (!value.is(Kind::text)) return a.get(0, "default", Value(int64_t{0}));
  const std::string text(strip(value.text(), "", true, true));
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || *end != '\0') return a.get(0, "default", Value(int64_t{0}));
  return Value(number);
}

Result<Value> text_filter(const std::string& name,
                          const Value& value,
                          const Arguments& a,
                          Budget& budget) {
  const Value text = Value(TRY(text_of(value)));
  TRY(budget.charge(text.text().size()));
  if (name == "trim") return stripped("strip", text, a);
  if (name == "replace") return replaced(text, a, budget);
  return Value(with_letters(text.text(), name == "upper"   ? Letters::upper
                                         : name == "lower" ? Letters::lower
                                         : name == "title" ? Letters::title
                                                           : Letters::capitalized));
}

Result<Value> list_filter(const std::string& name, const Value& value, Budget& budget) {
  if (name == "reverse" && value.is(Kind::text)) {
    std::string out;
    const auto all = characters(value.text());
    for (auto c = all.rbegin(); c != all.rend(); ++c) out += *c;
    return Value(std::move(out));
  }
  Items items = TRY(items_of(value));
  TRY(budget.charge(items.size() * sizeof(Value)));
  if (name == "first") return items.empty() ? Value() : items.front();
  if (name == "last") return items.empty() ? Value() : items.back();
  if (name == "reverse") std::reverse(items.begin(), items.end());
  return Value::list(std::move(items));
}

Result<Value> call_text(const Value& text,
                        const std::string& name,
                        const Arguments& a,
                        Budget& budget) {
  TRY(budget.charge(text.text().size()));
  if (name == "strip" || name == "lstrip" || name == "rstrip") return stripped(name, text, a);
  if (name == "startswith" || name == "endswith") {
    return starts_or_ends(name, text, a.get(0, "", Value()));
  }
  if (name == "upper" || name == "lower" || name == "title" || name == "capitalize") {
    return text_filter(name, text, {}, budget);
  }
  if (name == "replace") return replaced(text, a, budget);
  if (name == "split") {
    const Value separator = a.get(0, "sep", Value::none());
    const Value most = a.get(1, "maxsplit", Value(int64_t{-1}));
    if (!most.is(Kind::integer)) return not_for("split", most);
    const bool spaces = separator.is(Kind::none);
    if (!spaces && (!separator.is(Kind::text) || separator.text().empty())) {
      return invalid("split: expected a separator");
    }
    auto parts = split(text.text(), spaces ? "" : separator.text(), most.integer());
    TRY(budget.charge(parts.size() * sizeof(Value)));
    return list_of(parts);
  }
  return invalid("a text has no method " + name);
}

}  // namespace

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
    case Kind::space:
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

Result<Value> apply_filter(const std::string& name,
                           const Value& value,
                           const Arguments& a,
                           Budget& budget) {
  const auto is = [&](std::initializer_list<const char*> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (is({"trim", "replace", "upper", "lower", "title", "capitalize"})) {
    return text_filter(name, value, a, budget);
  }
  if (is({"first", "last", "reverse", "list"})) return list_filter(name, value, budget);
  if (is({"selectattr", "rejectattr", "select", "reject"})) return selected(name, value, a);
  if (is({"length", "count"})) return Value(TRY(length_of(value)));
  if (is({"default", "d"})) {
    const bool absent =
        value.is(Kind::undefined) || (a.get(1, "boolean", Value(false)).truth() && !value.truth());
    return absent ? a.get(0, "default_value", Value("")) : value;
  }
  if (is({"string", "safe"})) return Value(TRY(text_of(value)));
  if (name == "join") return joined(value, a, budget);
  if (name == "map") return mapped(value, a, budget);
  if (name == "items") return value.is(Kind::undefined) ? Value::list({}) : pairs_of(value);
  if (name == "int") return to_integer(value, a);
  if (name == "tojson") {
    TRY(budget.charge(value.weight() * 64));
    const Value indent = a.get(0, "indent", Value(int64_t{-1}));
    const bool given = indent.is(Kind::integer) && indent.integer() <= 16;
    std::string json = TRY(json_of(value, given ? indent.integer() : -1));
    TRY(budget.charge(json.size()));
    return Value(std::move(json));
  }
  return invalid("there is no filter " + name);
}

Result<bool> apply_test(const std::string& name, const Value& value, const Items& arguments) {
  const Kind kind = value.kind();
  if (name == "defined") return kind != Kind::undefined;
  if (name == "undefined") return kind == Kind::undefined;
  if (name == "none") return kind == Kind::none;
  if (name == "string") return kind == Kind::text;
  if (name == "mapping") return kind == Kind::map;
  if (name == "number") return value.is_number();
  if (name == "integer") return kind == Kind::integer;
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
  if (object.is(Kind::text)) return call_text(object, name, a, budget);
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
