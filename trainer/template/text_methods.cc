#include "trainer/template/text_methods.h"

#include "trainer/template/text.h"

namespace llmctl::jinja {
namespace {

using Kind = Value::Kind;

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

Result<Value> cut(const Value& text, const Arguments& a, Budget& budget) {
  const Value separator = a.get(0, "sep", Value::none());
  const Value most = a.get(1, "maxsplit", Value(int64_t{-1}));
  if (!most.is(Kind::integer)) return not_for("split", most);
  const bool spaces = separator.is(Kind::none);
  if (!spaces && (!separator.is(Kind::text) || separator.text().empty())) {
    return invalid("split: expected a separator");
  }
  const auto parts = split(text.text(), spaces ? "" : separator.text(), most.integer());
  TRY(budget.charge(parts.size() * sizeof(Value)));
  return list_of(parts);
}

}  // namespace

Result<Value> call_text_method(const Value& text,
                               const std::string& name,
                               const Arguments& a,
                               Budget& budget) {
  TRY(budget.charge(text.text().size()));
  if (name == "strip" || name == "lstrip" || name == "rstrip") return stripped(name, text, a);
  if (name == "startswith" || name == "endswith") {
    return starts_or_ends(name, text, a.get(0, "", Value()));
  }
  if (name == "upper") return Value(with_letters(text.text(), Letters::upper));
  if (name == "lower") return Value(with_letters(text.text(), Letters::lower));
  if (name == "title") return Value(with_letters(text.text(), Letters::title));
  if (name == "capitalize") return Value(with_letters(text.text(), Letters::capitalized));
  if (name == "replace") return replaced(text, a, budget);
  if (name == "split") return cut(text, a, budget);
  return invalid("a text has no method " + name);
}

}  // namespace llmctl::jinja
