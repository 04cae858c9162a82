// The expressions of a template; parser.cc drives it for what stands inside a tag. Owned by one
// parse; one thread.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/template/lexer.h"
#include "trainer/template/nodes.h"

namespace llmctl::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<ExprPtr> expression();  // with "a if b else c"
  Result<ExprPtr> logical_or();  // without

  const Token& current() const { return tokens_[at_]; }
  const Token& next() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token take();  // stays at the end
  bool at(Token::Kind kind) const { return current().kind == kind; }
  bool at_name(std::string_view name) const;
  bool at_symbol(std::string_view symbol) const;
  bool take_name(std::string_view name);
  bool take_symbol(std::string_view symbol);
  Status need_symbol(const char* symbol);
  Error wrong(const std::string& message) const {
    return at_template_line(current().line, message);
  }
  Error unexpected() const;

 private:
  // invalid_argument when the tree is too deep or the template too large.
  Result<ExprPtr> node(Expr::Kind kind, std::string text, std::vector<ExprPtr> children);
  Status grow(Expr& parent, const Expr& child) const;
  Result<ExprPtr> joined(Expr::Kind kind, std::string text, ExprPtr left, Result<ExprPtr> right);
  Result<ExprPtr> logical_and();
  Result<ExprPtr> logical_not();
  Result<ExprPtr> comparison();
  Result<ExprPtr> sum();
  Result<ExprPtr> concatenation();
  Result<ExprPtr> product();
  Result<ExprPtr> unary(bool with_filters);
  Result<ExprPtr> primary();
  Result<ExprPtr> bracketed();
  Result<ExprPtr> mapping();
  Result<ExprPtr> postfix(ExprPtr object);
  Result<ExprPtr> subscript(ExprPtr object);
  Result<ExprPtr> filters(ExprPtr object);
  Result<ExprPtr> test(ExprPtr object);
  Status arguments(Expr& call);
  Result<ExprPtr> literal(Value value);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int nesting_ = 0;
  size_t nodes_ = 0;
};

}  // namespace llmctl::jinja
