#include "trainer/template/expressions.h"

#include <algorithm>
#include <tuple>

#include "trainer/template/lexer.h"
#include "trainer/template/operators.h"

namespace llmctl::jinja {
namespace {

using Kind = Value::Kind;

constexpr int64_t kRange = 100'000;

class Evaluation {
 public:
  explicit Evaluation(Variables& variables) : variables_(variables) {}

  Result<Value> of(const Expr& e) {
    TRY(variables_.budget.charge());
    switch (e.kind) {
      case Expr::Kind::literal:
        return e.value;
      case Expr::Kind::name:
        return variables_.get(e.text);
      case Expr::Kind::list:
        return list(e);
      case Expr::Kind::map:
        return map(e);
      case Expr::Kind::attribute:
        return attribute(TRY(child(e, 0)), e.text);
      case Expr::Kind::index:
        return indexed(e);
      case Expr::Kind::slice:
        return sliced(e);
      case Expr::Kind::call:
        return call(e);
      case Expr::Kind::filter: {
        const Value value = TRY(child(e, 0));
        return apply_filter(e.text, value, TRY(arguments(e)), variables_.budget);
      }
      case Expr::Kind::test:
        return test(e);
      case Expr::Kind::unary:
        return unary_operator(e.text, TRY(child(e, 0)));
      case Expr::Kind::binary: {
        const Value left = TRY(child(e, 0));
        return binary_operator(e.text, left, TRY(child(e, 1)), variables_.budget);
      }
      case Expr::Kind::logical_and:
      case Expr::Kind::logical_or: {
        Value left = TRY(child(e, 0));
        const bool enough = left.truth() == (e.kind == Expr::Kind::logical_or);
        return enough ? Result<Value>(std::move(left)) : child(e, 1);
      }
      case Expr::Kind::conditional:
        return chosen(e);
    }
    return Value();
  }

 private:
  Result<Value> child(const Expr& e, size_t i) { return evaluate(*e.children[i], variables_); }

  Result<Value> chosen(const Expr& e) {
    const Value condition = TRY(child(e, 1));
    return child(e, condition.truth() ? 0 : 2);
  }

  Result<Value> list(const Expr& e) {
    Items items = TRY(all(e, 0));
    return Value::list(std::move(items));
  }

  Result<Items> all(const Expr& e, size_t first) {
    Items items;
    for (size_t i = first; i < e.children.size(); ++i) items.push_back(TRY(child(e, i)));
    return items;
  }

  Result<Arguments> arguments(const Expr& e) {
    Arguments arguments;
    arguments.values = TRY(all(e, 1));
    for (const auto& [name, value] : e.named) {
      arguments.named.emplace_back(name, TRY(evaluate(*value, variables_)));
    }
    return arguments;
  }

  Result<Value> map(const Expr& e) {
    Members members;
    for (size_t i = 0; i + 1 < e.children.size(); i += 2) {
      const Value key = TRY(child(e, i));
      if (!key.is(Kind::text)) return invalid("keys of a mapping are texts");
      members.emplace_back(key.text(), TRY(child(e, i + 1)));
    }
    return Value::map(std::move(members));
  }

  static Result<Value> attribute(const Value& object, const std::string& name) {
    if (object.is(Kind::undefined)) return invalid("\"" + name + "\" of an undefined value");
    if (!object.is(Kind::map) && !object.is(Kind::name_space)) return Value();
    const Value* found = object.find(name);
    return found != nullptr ? *found : Value();
  }

  Result<Value> indexed(const Expr& e) {
    const Value object = TRY(child(e, 0)), index = TRY(child(e, 1));
    if (object.is(Kind::undefined)) return invalid("an item of an undefined value");
    if (index.is(Kind::text)) return attribute(object, index.text());
    if (!index.is(Kind::integer) || (!object.is(Kind::list) && !object.is(Kind::text))) {
      return Value();
    }
    const Items items = object.is(Kind::list) ? Items() : TRY(items_of(object));
    const Items& from = object.is(Kind::list) ? object.items() : items;
    TRY(variables_.budget.charge(items.size()));
    const auto size = static_cast<int64_t>(from.size());
    const int64_t at = index.integer() < 0 ? index.integer() + size : index.integer();
    return at >= 0 && at < size ? from[static_cast<size_t>(at)] : Value();
  }

  // Absent parts as Python fills them.
  Result<Value> sliced(const Expr& e) {
    const Value object = TRY(child(e, 0));
    if (object.is(Kind::undefined)) return invalid("a slice of an undefined value");
    if (!object.is(Kind::list) && !object.is(Kind::text)) {
      return invalid(std::string("a slice is not for ") + name_of(object.kind()));
    }
    const Items items = TRY(items_of(object));
    TRY(variables_.budget.charge(items.size() * sizeof(Value)));
    const auto size = static_cast<int64_t>(items.size());
    const int64_t step = TRY(part(e, 3, 1));
    if (step == 0) return invalid("a slice with step 0");
    const auto place = [&](int64_t at) {  // from the end when below 0; inside the list
      if (at < 0) at = std::max<int64_t>(at + size, -1);
      return std::clamp<int64_t>(at, step > 0 ? 0 : -1, step > 0 ? size : size - 1);
    };
    const bool open_begin = !e.children[1], open_end = !e.children[2];
    const int64_t first = TRY(part(e, 1, 0)), last = TRY(part(e, 2, 0));
    int64_t at = open_begin ? (step > 0 ? 0 : size - 1) : place(first);
    const int64_t end = open_end ? (step > 0 ? size : -1) : place(last);
    Items chosen;
    for (; step > 0 ? at < end : at > end; at += std::clamp(step, -size - 1, size + 1)) {
      chosen.push_back(items[static_cast<size_t>(at)]);
    }
    if (object.is(Kind::list)) return Value::list(std::move(chosen));
    std::string text;
    for (const Value& character : chosen) text += character.text();
    return Value(std::move(text));
  }

  Result<int64_t> part(const Expr& e, size_t i, int64_t otherwise) {
    if (!e.children[i]) return otherwise;
    const Value value = TRY(child(e, i));
    if (value.is(Kind::none)) return otherwise;
    if (!value.is(Kind::integer)) return invalid("a slice needs whole numbers");
    return std::clamp<int64_t>(value.integer(), -(int64_t{1} << 40), int64_t{1} << 40);
  }

  Result<Value> test(const Expr& e) {
    const Value value = TRY(child(e, 0));
    const Items rest = TRY(all(e, 1));
    return Value(TRY(apply_test(e.text, value, rest)));
  }

  Result<Value> call(const Expr& e) {
    const Expr& callee = *e.children[0];
    if (callee.kind == Expr::Kind::attribute) {
      const Value object = TRY(child(callee, 0));
      return call_method(object, callee.text, TRY(arguments(e)), variables_.budget);
    }
    if (callee.kind != Expr::Kind::name) return invalid("this cannot be called");
    const Arguments a = TRY(arguments(e));
    if (callee.text == "namespace") return Value::name_space(a.named);
    if (callee.text == "dict") return Value::map(a.named);
    if (callee.text == "range") return range(a);
    if (callee.text == "raise_exception") {
      return invalid("the template says: " + TRY(text_of(a.get(0, "message", Value()))));
    }
    return invalid("there is no function " + callee.text);
  }

  Result<Value> range(const Arguments& a) {
    int64_t numbers[3] = {0, 0, 1};
    for (size_t i = 0; i < a.values.size() && i < 3; ++i) {
      if (!a.values[i].is(Kind::integer)) return invalid("range() needs whole numbers");
      numbers[i] = a.values[i].integer();
    }
    if (a.values.size() == 1) std::swap(numbers[0], numbers[1]);
    const auto [begin, end, step] = std::tie(numbers[0], numbers[1], numbers[2]);
    if (step == 0) return invalid("range() with step 0");
    Items items;
    for (int64_t i = begin; step > 0 ? i < end : i > end; i += step) {
      if (items.size() >= kRange || std::abs(i) > (int64_t{1} << 40) || std::abs(step) > kRange) {
        return invalid("range() is too long");
      }
      items.emplace_back(i);
    }
    TRY(variables_.budget.charge(items.size() * sizeof(Value)));
    return Value::list(std::move(items));
  }

  Variables& variables_;
};

}  // namespace

Value Variables::get(const std::string& name) const {
  for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope) {
    for (const auto& [own, value] : *scope) {
      if (own == name) return value;
    }
  }
  return {};
}

Status Variables::set(const std::vector<std::string>& names, const Value& value, int line) {
  if (names.size() == 2) {
    const Value space = get(names[0]);
    if (!space.is(Kind::name_space)) return at_template_line(line, names[0] + " is no namespace");
    const Status done = space.set(names[1], value);
    return done.ok() ? done : at_template_line(line, done.error().message);
  }
  for (auto& [own, old] : scopes.back()) {
    if (own != names[0]) continue;
    old = value;
    return ok_status();
  }
  scopes.back().emplace_back(names[0], value);
  return ok_status();
}

Result<Value> evaluate(const Expr& expression, Variables& variables) {
  Result<Value> value = Evaluation(variables).of(expression);
  if (value.ok() || value.error().message.starts_with("line ")) return value;
  return at_template_line(expression.line, value.error().message);
}

}  // namespace llmctl::jinja
