#include "trainer/template/parser.h"

#include <algorithm>
#include <initializer_list>

#include "trainer/template/expression_parser.h"

namespace llmctl::jinja {
namespace {

constexpr size_t kTemplateBytes = 1 << 20;  // the longest public ones have 20 KiB
constexpr int kBlocks = 60;                 // blocks in blocks

using Names = std::initializer_list<const char*>;

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : in_(std::move(tokens)) {}

  Result<Body> whole() {
    Body body = TRY(until({}));
    if (!in_.at(Token::Kind::end)) return in_.unexpected();
    return body;
  }

 private:
  bool at_block(Names names) const {
    if (!in_.at(Token::Kind::block_begin)) return false;
    return std::any_of(names.begin(), names.end(), [&](const char* name) {
      return in_.next().kind == Token::Kind::name && in_.next().text == name;
    });
  }

  // Statements up to "{% name", which is left where it is, or to the end of the template.
  Result<Body> until(Names names) {
    if (++blocks_ > kBlocks) return in_.wrong("blocks are nested too deeply");
    Body body;
    while (!in_.at(Token::Kind::end) && !at_block(names)) body.push_back(TRY(statement()));
    --blocks_;
    return body;
  }

  // The end of a block: {% endfor %}.
  Status close(const char* name) {
    if (!at_block({name})) {
      return in_.wrong(std::string("expected {% ") + name + " %}");
    }
    in_.take();
    in_.take();
    return end_tag();
  }
  Status end_tag() {
    if (!in_.at(Token::Kind::block_end)) return in_.unexpected();
    in_.take();
    return ok_status();
  }

  Result<Statement> statement() {
    Statement made;
    made.line = in_.current().line;
    if (in_.at(Token::Kind::data)) {
      made.text = in_.take().text;
      return made;
    }
    if (in_.at(Token::Kind::output_begin)) {
      in_.take();
      made.kind = Statement::Kind::output;
      made.value = TRY(in_.expression());
      if (!in_.at(Token::Kind::output_end)) return in_.unexpected();
      in_.take();
      return made;
    }
    in_.take();  // {%
    TRY(block(made));
    return made;
  }

  Status block(Statement& made) {
    if (in_.take_name("if")) return branches(made);
    if (in_.take_name("for")) return loop(made);
    if (in_.take_name("set")) return set(made);
    if (in_.take_name("generation")) {
      made.kind = Statement::Kind::block;
      TRY(end_tag());
      made.body = TRY(until({"endgeneration"}));
      return close("endgeneration");
    }
    const bool leave = in_.at_name("break");
    if (leave || in_.at_name("continue")) {
      if (loops_ == 0) return in_.wrong("\"" + in_.current().text + "\" outside of a loop");
      made.kind = leave ? Statement::Kind::break_loop : Statement::Kind::continue_loop;
      in_.take();
      return end_tag();
    }
    if (!in_.at(Token::Kind::name)) return in_.unexpected();
    return in_.wrong("\"" + in_.current().text.substr(0, 40) + "\" is not supported here");
  }

  Status branches(Statement& made) {
    made.kind = Statement::Kind::branches;
    bool last = false;
    ExprPtr condition = TRY(in_.expression());
    while (true) {
      TRY(end_tag());
      Body body = last ? TRY(until({"endif"})) : TRY(until({"elif", "else", "endif"}));
      made.branches.emplace_back(std::move(condition), std::move(body));
      if (last || at_block({"endif"}) || in_.at(Token::Kind::end)) return close("endif");
      in_.take();
      last = in_.take_name("else");
      condition = nullptr;
      if (last) continue;
      in_.take();  // elif
      condition = TRY(in_.expression());
    }
  }

  Status loop(Statement& made) {
    made.kind = Statement::Kind::loop;
    const bool brackets = in_.take_symbol("(");
    do {
      if (!in_.at(Token::Kind::name)) return in_.unexpected();
      made.names.push_back(in_.take().text);
    } while (in_.take_symbol(","));
    if (brackets) TRY(in_.need_symbol(")"));
    if (!in_.take_name("in")) return in_.wrong("expected \"in\"");
    made.value = TRY(in_.logical_or());
    if (in_.take_name("if")) made.condition = TRY(in_.expression());
    TRY(end_tag());
    ++loops_;
    made.body = TRY(until({"else", "endfor"}));
    --loops_;
    if (at_block({"else"})) {
      in_.take();
      in_.take();
      TRY(end_tag());
      made.otherwise = TRY(until({"endfor"}));
    }
    return close("endfor");
  }

  Status set(Statement& made) {
    if (!in_.at(Token::Kind::name)) return in_.unexpected();
    made.names.push_back(in_.take().text);
    if (in_.take_symbol(".")) {
      if (!in_.at(Token::Kind::name)) return in_.unexpected();
      made.names.push_back(in_.take().text);
    }
    if (in_.take_symbol("=")) {
      made.kind = Statement::Kind::set;
      made.value = TRY(in_.expression());
      return end_tag();
    }
    made.kind = Statement::Kind::set_block;
    TRY(end_tag());
    made.body = TRY(until({"endset"}));
    return close("endset");
  }

  ExpressionParser in_;
  int blocks_ = 0, loops_ = 0;
};

}  // namespace

Result<Body> parse(std::string_view source) {
  if (source.size() > kTemplateBytes) {
    return Error{Code::invalid_argument, "the template is larger than 1 MiB", ""};
  }
  auto tokens = TRY(lex(source));
  return Parser(std::move(tokens)).whole();
}

}  // namespace llmctl::jinja
