#include "trainer/template/expression_parser.h"

#include <algorithm>
#include <charconv>

namespace llmctl::jinja {
namespace {

constexpr int kDepth = 200;   // of a tree; real templates stay below 20
constexpr int kNesting = 60;  // brackets in brackets: each costs a dozen frames of stack
constexpr size_t kNodes = 100'000;

std::vector<ExprPtr> only_child(ExprPtr a) {
  std::vector<ExprPtr> children;
  children.push_back(std::move(a));
  return children;
}

}  // namespace

Token ExpressionParser::take() {
  const Token& token = tokens_[at_];
  if (token.kind != Token::Kind::end) ++at_;
  return token;
}

bool ExpressionParser::at_name(std::string_view name) const {
  return at(Token::Kind::name) && current().text == name;
}
bool ExpressionParser::at_symbol(std::string_view symbol) const {
  return at(Token::Kind::symbol) && current().text == symbol;
}
bool ExpressionParser::take_name(std::string_view name) {
  const bool found = at_name(name);
  if (found) ++at_;
  return found;
}
bool ExpressionParser::take_symbol(std::string_view symbol) {
  const bool found = at_symbol(symbol);
  if (found) ++at_;
  return found;
}

Status ExpressionParser::need_symbol(const char* symbol) {
  if (take_symbol(symbol)) return ok_status();
  return wrong(std::string("expected '") + symbol + "'");
}

Error ExpressionParser::unexpected() const {
  switch (current().kind) {
    case Token::Kind::block_end:
    case Token::Kind::output_end:
    case Token::Kind::end:
      return wrong("the tag ends too early");
    default:
      return wrong("unexpected \"" + current().text.substr(0, 40) + "\"");
  }
}

Result<ExprPtr> ExpressionParser::node(Expr::Kind kind,
                                       std::string text,
                                       std::vector<ExprPtr> children) {
  auto made = std::make_unique<Expr>();
  made->kind = kind;
  made->line = current().line;
  made->text = std::move(text);
  for (const ExprPtr& child : children) {
    if (child) TRY(grow(*made, *child));
  }
  made->children = std::move(children);
  if (++nodes_ > kNodes) return wrong("the template is too large");
  return made;
}

Status ExpressionParser::grow(Expr& parent, const Expr& child) const {
  parent.depth = std::max(parent.depth, child.depth + 1);
  return parent.depth <= kDepth ? ok_status() : Status(wrong("the expression is too deep"));
}

Result<ExprPtr> ExpressionParser::joined(Expr::Kind kind,
                                         std::string text,
                                         ExprPtr left,
                                         Result<ExprPtr> right) {
  auto children = only_child(std::move(left));
  children.push_back(TRY(std::move(right)));
  return node(kind, std::move(text), std::move(children));
}

Result<ExprPtr> ExpressionParser::literal(Value value) {
  auto made = TRY(node(Expr::Kind::literal, "", {}));
  made->value = std::move(value);
  return made;
}

Result<ExprPtr> ExpressionParser::expression() {
  if (++nesting_ > kNesting) return wrong("brackets are nested too deeply");
  auto value = TRY(logical_or());
  while (take_name("if")) {
    value = TRY(joined(Expr::Kind::conditional, "", std::move(value), logical_or()));
    value->children.push_back(take_name("else") ? TRY(expression()) : TRY(literal(Value())));
    TRY(grow(*value, *value->children.back()));
  }
  --nesting_;
  return value;
}

Result<ExprPtr> ExpressionParser::logical_or() {
  auto left = TRY(logical_and());
  while (take_name("or")) {
    left = TRY(joined(Expr::Kind::logical_or, "", std::move(left), logical_and()));
  }
  return left;
}

Result<ExprPtr> ExpressionParser::logical_and() {
  auto left = TRY(logical_not());
  while (take_name("and")) {
    left = TRY(joined(Expr::Kind::logical_and, "", std::move(left), logical_not()));
  }
  return left;
}

Result<ExprPtr> ExpressionParser::logical_not() {
  int turns = 0;
  while (take_name("not")) ++turns;
  auto value = TRY(comparison());
  for (; turns > 0; --turns)
    value = TRY(node(Expr::Kind::unary, "not", only_child(std::move(value))));
  return value;
}

// "a < b < c" is refused: templates do not use it and it reads in two ways.
Result<ExprPtr> ExpressionParser::comparison() {
  auto left = TRY(sum());
  for (int found = 0;; ++found) {
    bool negated = false;
    std::string symbol;
    for (const char* known : {"==", "!=", "<=", ">=", "<", ">"}) {
      if (symbol.empty() && take_symbol(known)) symbol = known;
    }
    if (symbol.empty() && at_name("not") && next().kind == Token::Kind::name &&
        next().text == "in") {
      take();
      negated = true;
    }
    if (symbol.empty() && take_name("in")) symbol = "in";
    if (symbol.empty()) return left;
    if (found > 0) return wrong("chained comparisons are not supported; write \"and\"");
    left = TRY(joined(Expr::Kind::binary, symbol, std::move(left), sum()));
    if (negated) left = TRY(node(Expr::Kind::unary, "not", only_child(std::move(left))));
  }
}

Result<ExprPtr> ExpressionParser::sum() {
  auto left = TRY(concatenation());
  while (at_symbol("+") || at_symbol("-")) {
    const std::string symbol = take().text;
    left = TRY(joined(Expr::Kind::binary, symbol, std::move(left), concatenation()));
  }
  return left;
}

Result<ExprPtr> ExpressionParser::concatenation() {
  auto left = TRY(product());
  while (take_symbol("~")) {
    left = TRY(joined(Expr::Kind::binary, "~", std::move(left), product()));
  }
  return left;
}

Result<ExprPtr> ExpressionParser::product() {
  auto left = TRY(unary(true));
  while (at_symbol("*") || at_symbol("/") || at_symbol("//") || at_symbol("%")) {
    const std::string symbol = take().text;
    left = TRY(joined(Expr::Kind::binary, symbol, std::move(left), unary(true)));
  }
  return left;
}

Result<ExprPtr> ExpressionParser::unary(bool with_filters) {
  if (at_symbol("-") || at_symbol("+")) {
    if (++nesting_ > kNesting) return wrong("too many signs");
    const std::string symbol = take().text;
    auto signless = TRY(unary(false));
    auto value = TRY(node(Expr::Kind::unary, symbol, only_child(std::move(signless))));
    --nesting_;
    return with_filters ? filters(std::move(value)) : Result<ExprPtr>(std::move(value));
  }
  auto first = TRY(primary());
  auto value = TRY(postfix(std::move(first)));
  return with_filters ? filters(std::move(value)) : Result<ExprPtr>(std::move(value));
}

Result<ExprPtr> ExpressionParser::primary() {
  switch (current().kind) {
    case Token::Kind::text: {
      std::string text = take().text;
      while (at(Token::Kind::text)) text += take().text;  // neighbours are one, as in Python
      return literal(std::move(text));
    }
    case Token::Kind::integer: {
      int64_t value = 0;
      const Token token = take();
      const char* end = token.text.data() + token.text.size();
      if (std::from_chars(token.text.data(), end, value).ec != std::errc()) {
        return wrong("the number " + token.text.substr(0, 40) + " is too large");
      }
      return literal(value);
    }
    case Token::Kind::number: {
      double value = 0;
      const Token token = take();
      std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
      return literal(value);
    }
    case Token::Kind::name: {
      const std::string name = take().text;
      if (name == "true" || name == "True") return literal(true);
      if (name == "false" || name == "False") return literal(false);
      if (name == "none" || name == "None") return literal(Value::none());
      return node(Expr::Kind::name, name, {});
    }
    default:
      return bracketed();
  }
}

Result<ExprPtr> ExpressionParser::bracketed() {
  if (at_symbol("{")) return mapping();
  const bool list = at_symbol("[");
  if (!list && !at_symbol("(")) return unexpected();
  take();
  const char* close = list ? "]" : ")";
  std::vector<ExprPtr> items;
  bool comma = false;
  while (!at_symbol(close)) {
    items.push_back(TRY(expression()));
    if (!take_symbol(",")) break;
    comma = true;
  }
  TRY(need_symbol(close));
  if (!list && !comma && items.size() == 1) return std::move(items.front());
  return node(Expr::Kind::list, "", std::move(items));
}

Result<ExprPtr> ExpressionParser::mapping() {
  TRY(need_symbol("{"));
  std::vector<ExprPtr> items;
  while (!at_symbol("}")) {
    items.push_back(TRY(expression()));
    TRY(need_symbol(":"));
    items.push_back(TRY(expression()));
    if (!take_symbol(",")) break;
  }
  TRY(need_symbol("}"));
  return node(Expr::Kind::map, "", std::move(items));
}

Result<ExprPtr> ExpressionParser::postfix(ExprPtr object) {
  while (true) {
    if (take_symbol(".")) {
      if (!at(Token::Kind::name)) return unexpected();
      const std::string name = take().text;
      object = TRY(node(Expr::Kind::attribute, name, only_child(std::move(object))));
    } else if (at_symbol("[")) {
      object = TRY(subscript(std::move(object)));
    } else if (at_symbol("(")) {
      object = TRY(node(Expr::Kind::call, "", only_child(std::move(object))));
      TRY(arguments(*object));
    } else {
      return object;
    }
  }
}

Result<ExprPtr> ExpressionParser::subscript(ExprPtr object) {
  TRY(need_symbol("["));
  auto children = only_child(std::move(object));
  bool slice = false;
  for (int part = 0; part < 3; ++part) {
    const bool absent = at_symbol(":") || at_symbol("]");
    children.push_back(absent ? nullptr : TRY(expression()));
    if (!take_symbol(":")) break;
    slice = true;
  }
  TRY(need_symbol("]"));
  if (slice) {
    children.resize(4);
    return node(Expr::Kind::slice, "", std::move(children));
  }
  if (!children[1]) return wrong("an index is missing");
  return node(Expr::Kind::index, "", std::move(children));
}

Status ExpressionParser::arguments(Expr& call) {
  TRY(need_symbol("("));
  while (!at_symbol(")")) {
    const bool named =
        at(Token::Kind::name) && next().kind == Token::Kind::symbol && next().text == "=";
    std::string name;
    if (named) {
      name = take().text;
      take();
    }
    auto value = TRY(expression());
    TRY(grow(call, *value));
    if (named) {
      call.named.emplace_back(name, std::move(value));
    } else {
      call.children.push_back(std::move(value));
    }
    if (!take_symbol(",")) break;
  }
  return need_symbol(")");
}

Result<ExprPtr> ExpressionParser::filters(ExprPtr object) {
  while (true) {
    if (take_symbol("|")) {
      if (!at(Token::Kind::name)) return unexpected();
      const std::string name = take().text;
      object = TRY(node(Expr::Kind::filter, name, only_child(std::move(object))));
      if (at_symbol("(")) TRY(arguments(*object));
    } else if (take_name("is")) {
      object = TRY(test(std::move(object)));
    } else {
      return object;
    }
  }
}

Result<ExprPtr> ExpressionParser::test(ExprPtr object) {
  const bool negated = take_name("not");
  if (!at(Token::Kind::name)) return unexpected();
  const std::string name = take().text;
  auto made = TRY(node(Expr::Kind::test, name, only_child(std::move(object))));
  const bool bare =
      at(Token::Kind::text) || at(Token::Kind::integer) || at(Token::Kind::number) ||
      at_symbol("[") || at_symbol("{") ||
      (at(Token::Kind::name) && !at_name("else") && !at_name("or") && !at_name("and") &&
       !at_name("if") && !at_name("is") && !at_name("in") && !at_name("not"));
  if (at_symbol("(")) {
    TRY(arguments(*made));
  } else if (bare) {
    auto argument = TRY(primary());
    made->children.push_back(TRY(postfix(std::move(argument))));
    TRY(grow(*made, *made->children.back()));
  }
  return negated ? node(Expr::Kind::unary, "not", only_child(std::move(made)))
                 : Result<ExprPtr>(std::move(made));
}

}  // namespace llmctl::jinja
