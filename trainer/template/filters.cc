// The filters of builtins.h: `value | name(arguments)`.
#include <algorithm>
#include <charconv>

#include "trainer/template/builtins.h"
#include "trainer/template/text.h"
#include "trainer/template/text_methods.h"

namespace llmctl::jinja {
namespace {

using Kind = Value::Kind;

// The member that "function.name" leads to; undefined where there is none.
Value attribute_of(Value item, std::string_view path) {
  while (true) {
    const size_t dot = path.find('.');
    const Value* member = item.is(Kind::map) ? item.find(path.substr(0, dot)) : nullptr;
    if (member == nullptr) return Value();
    item = Value(*member);
    if (dot == std::string_view::npos) return item;
    path.remove_prefix(dot + 1);
  }
}

// An option that would be passed over changes the text that is learned.
Status refuse_unknown_options(const std::string& filter, const Arguments& a) {
  static constexpr std::pair<std::string_view, std::string_view> kOptions[] = {
      {"tojson", " indent "},
      {"join", " d attribute "},
      {"map", " attribute "},
      {"int", " default "},
      {"default", " default_value boolean "},
      {"d", " default_value boolean "}};
  for (const auto& [name, value] : a.named) {
    bool known = false;
    for (const auto& [of, names] : kOptions) {
      known |= filter == of && names.find(" " + name + " ") != std::string_view::npos;
    }
    if (!known) return invalid(filter + " has no option " + name + " here");
  }
  return ok_status();
}

Result<Value> joined(const Value& value, const Arguments& a, Budget& budget) {
  const Value separator = a.get(0, "d", Value(""));
  if (!separator.is(Kind::text)) return not_for("join", separator);
  const Value attribute = a.get(1, "attribute", Value());
  std::string out;
  bool first = true;
  for (Value item : TRY(items_of(value))) {
    if (attribute.is(Kind::text)) item = attribute_of(item, attribute.text());
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
    const Value tested = by_member ? attribute_of(item, key) : item;
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
      items.push_back(attribute_of(item, attribute.text()));
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

}  // namespace

Result<Value> apply_filter(const std::string& name,
                           const Value& value,
                           const Arguments& a,
                           Budget& budget) {
  const auto is = [&](std::initializer_list<const char*> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (is({"trim", "replace", "upper", "lower", "title", "capitalize"})) {
    const Value text = Value(TRY(text_of(value)));
    return call_text_method(text, name == "trim" ? "strip" : name, a, budget);
  }
  TRY(refuse_unknown_options(name, a));
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

}  // namespace llmctl::jinja
