#include "trainer/template/operators.h"

#include <cmath>

namespace llmctl::jinja {
namespace {

using Kind = Value::Kind;

Error not_for(const std::string& symbol, const Value& a, const Value& b) {
  return invalid("\"" + symbol + "\" is not for " + name_of(a.kind()) + " and " +
                 name_of(b.kind()));
}

// a // b and a % b as Python rounds them: towards minus infinity.
Result<Value> divided(const std::string& symbol, const Value& a, const Value& b) {
  if (b.number() == 0) return invalid("division by zero");
  const bool whole = !a.is(Kind::number) && !b.is(Kind::number);
  if (symbol == "/" || !whole) {
    const double floor = std::floor(a.number() / b.number());
    if (symbol == "/") return Value(a.number() / b.number());
    return Value(symbol == "//" ? floor : a.number() - floor * b.number());
  }
  const int64_t divisor = b.integer();
  if (divisor == -1) return Value(symbol == "//" ? -a.integer() : int64_t{0});
  const int64_t rest = a.integer() % divisor;
  const bool down = rest != 0 && (rest < 0) != (divisor < 0);
  if (symbol == "%") return Value(rest + (down ? divisor : 0));
  return Value(a.integer() / divisor - (down ? 1 : 0));
}

Result<Value> calculated(const std::string& symbol, const Value& a, const Value& b) {
  if (symbol == "/" || symbol == "//" || symbol == "%") return divided(symbol, a, b);
  if (a.is(Kind::number) || b.is(Kind::number)) {
    const double x = a.number(), y = b.number();
    return Value(symbol == "+" ? x + y : symbol == "-" ? x - y : x * y);
  }
  const int64_t x = a.integer(), y = b.integer();
  int64_t result = 0;
  const bool over = symbol == "+"   ? __builtin_add_overflow(x, y, &result)
                    : symbol == "-" ? __builtin_sub_overflow(x, y, &result)
                                    : __builtin_mul_overflow(x, y, &result);
  if (over) return invalid("a number is too large");
  return Value(result);
}

Result<bool> ordered(const std::string& symbol, const Value& a, const Value& b) {
  const bool less = symbol == "<" || symbol == "<=", equal = symbol.ends_with('=');
  if (a.is_number() && b.is_number()) {
    if (a.number() == b.number()) return equal;
    return (a.number() < b.number()) == less;
  }
  if (!a.is(Kind::text) || !b.is(Kind::text)) return not_for(symbol, a, b);
  if (a.text() == b.text()) return equal;
  return (a.text() < b.text()) == less;
}

}  // namespace

Result<Value> binary_operator(const std::string& symbol,
                              const Value& a,
                              const Value& b,
                              Budget& budget) {
  TRY(budget.charge(64 * (a.weight() + b.weight())));
  if (symbol == "==") return Value(a == b);
  if (symbol == "!=") return Value(!(a == b));
  if (symbol == "in") return Value(TRY(contains(b, a)));
  if (symbol == "~") return Value(TRY(text_of(a)) + TRY(text_of(b)));
  if (symbol[0] == '<' || symbol[0] == '>') return Value(TRY(ordered(symbol, a, b)));
  if (a.is_number() && b.is_number()) return calculated(symbol, a, b);
  if (symbol == "+" && a.is(Kind::text) && b.is(Kind::text)) return Value(a.text() + b.text());
  if (symbol == "+" && a.is(Kind::list) && b.is(Kind::list)) {
    Items items = a.items();
    items.insert(items.end(), b.items().begin(), b.items().end());
    return Value::list(std::move(items));
  }
  return not_for(symbol, a, b);
}

Result<Value> unary_operator(const std::string& symbol, const Value& value) {
  if (symbol == "not") return Value(!value.truth());
  if (!value.is_number()) return invalid("a sign before " + std::string(name_of(value.kind())));
  if (value.is(Kind::number)) return Value(symbol == "-" ? -value.number() : value.number());
  return Value(symbol == "-" ? -value.integer() : value.integer());
}

}  // namespace llmctl::jinja
