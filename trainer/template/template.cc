#include "trainer/template/template.h"

#include <algorithm>

#include "trainer/template/expressions.h"
#include "trainer/template/lexer.h"
#include "trainer/template/parser.h"

namespace llmctl::jinja {
namespace {

using Kind = Value::Kind;

constexpr size_t kOutputBytes = 64 << 20;  // as much as a line of JSONL may have

enum class Flow {
  go_on,
  break_loop,
  continue_loop
};  // what a statement asks of the loop around it

class Rendering {
 public:
  explicit Rendering(Variables& variables) : variables_(variables) {}

  Status whole(const Body& body) {
    TRY(run(body));
    return ok_status();
  }
  std::string take() { return std::move(out_); }

 private:
  Result<Flow> run(const Body& body) {
    for (const Statement& statement : body) {
      const Flow flow = TRY(run(statement));
      if (flow != Flow::go_on) return flow;
    }
    return Flow::go_on;
  }

  Status print(std::string_view text) {
    TRY(variables_.budget.charge(text.size()));
    if (out_.size() + text.size() > kOutputBytes) {
      return Error{Code::invalid_argument, "the text is larger than 64 MiB", ""};
    }
    out_ += text;
    return ok_status();
  }

  Result<Flow> run(const Statement& statement) {
    switch (statement.kind) {
      case Statement::Kind::data:
        TRY(print(statement.text));
        return Flow::go_on;
      case Statement::Kind::output:
        TRY(output(*statement.value));
        return Flow::go_on;
      case Statement::Kind::branches:
        for (const auto& [condition, body] : statement.branches) {
          if (!condition || TRY(evaluate(*condition, variables_)).truth()) return run(body);
        }
        return Flow::go_on;
      case Statement::Kind::loop:
        TRY(loop(statement));
        return Flow::go_on;
      case Statement::Kind::set:
        TRY(set(statement));
        return Flow::go_on;
      case Statement::Kind::set_block: {
        std::string outer = std::exchange(out_, "");
        const Flow flow = TRY(scoped(statement.body));
        std::swap(outer, out_);
        TRY(variables_.set(statement.names, Value(std::move(outer)), statement.line));
        return flow;
      }
      case Statement::Kind::block:
        return scoped(statement.body);
      case Statement::Kind::break_loop:
        return Flow::break_loop;
      case Statement::Kind::continue_loop:
        return Flow::continue_loop;
    }
    return Flow::go_on;
  }

  Status set(const Statement& statement) {
    const Value value = TRY(evaluate(*statement.value, variables_));
    return variables_.set(statement.names, value, statement.line);
  }

  Result<Flow> scoped(const Body& body) {
    variables_.scopes.emplace_back();
    const Flow flow = TRY(run(body));
    variables_.scopes.pop_back();
    return flow;
  }

  Status output(const Expr& expression) {
    const Value value = TRY(evaluate(expression, variables_));
    const Result<std::string> text = text_of(value);
    if (!text.ok()) return at_template_line(expression.line, text.error().message);
    return print(*text);
  }

  Status loop(const Statement& statement) {
    const Value value = TRY(evaluate(*statement.value, variables_));
    const Result<Items> all = items_of(value);
    if (!all.ok()) return at_template_line(statement.line, all.error().message);
    TRY(variables_.budget.charge(all->size() * sizeof(Value)));
    Items items;
    for (const Value& item : *all) {
      if (statement.condition) {
        variables_.scopes.emplace_back();
        TRY(bind(statement, item));
        const bool chosen = TRY(evaluate(*statement.condition, variables_)).truth();
        variables_.scopes.pop_back();
        if (!chosen) continue;
      }
      items.push_back(item);
    }
    bool reached_end = false;  // of the body, once: else what "else" says, as jinja2 has it
    for (size_t i = 0; i < items.size(); ++i) {
      TRY(variables_.budget.charge(9 * sizeof(Value)));  // what `loop` costs
      variables_.scopes.emplace_back();
      TRY(bind(statement, items[i]));
      const Value loop = TRY(loop_variable(items, i));
      TRY(variables_.set({"loop"}, loop, statement.line));
      const Flow flow = TRY(run(statement.body));
      variables_.scopes.pop_back();
      if (flow == Flow::break_loop) break;
      reached_end |= flow == Flow::go_on;
    }
    if (!reached_end) TRY(scoped(statement.otherwise));
    return ok_status();
  }

  Status bind(const Statement& statement, const Value& item) {
    if (statement.names.size() == 1) return variables_.set(statement.names, item, statement.line);
    if (!item.is(Kind::list) || item.items().size() != statement.names.size()) {
      return at_template_line(statement.line, "cannot unpack what the loop gives");
    }
    for (size_t i = 0; i < statement.names.size(); ++i) {
      TRY(variables_.set({statement.names[i]}, item.items()[i], statement.line));
    }
    return ok_status();
  }

  static Result<Value> loop_variable(const Items& items, size_t i) {
    const auto index = static_cast<int64_t>(i), count = static_cast<int64_t>(items.size());
    return Value::map({{"index0", index},
                       {"index", index + 1},
                       {"revindex0", count - index - 1},
                       {"revindex", count - index},
                       {"length", count},
                       {"first", i == 0},
                       {"last", index + 1 == count},
                       {"previtem", i > 0 ? items[i - 1] : Value()},
                       {"nextitem", index + 1 < count ? items[i + 1] : Value()}});
  }

  Variables& variables_;
  std::string out_;
};

}  // namespace

struct Template::Parts {
  std::string source, name;
  Body body;
};

Result<Template> Template::parse(std::string_view source, std::string_view name) {
  Result<Body> body = jinja::parse(source);
  if (!body.ok()) {
    return Error{body.error().code, std::string(name) + ": " + body.error().message, ""};
  }
  return Template(std::make_shared<const Parts>(
      Parts{std::string(source), std::string(name), std::move(body).value()}));
}

Result<std::string> Template::render(const Members& values) const {
  Variables variables;
  variables.scopes.push_back(values);
  Rendering rendering(variables);
  const Status done = rendering.whole(parts_->body);
  if (!done.ok()) {
    return Error{done.error().code, parts_->name + ": " + done.error().message, ""};
  }
  return rendering.take();
}

const std::string& Template::source() const {
  return parts_->source;
}

}  // namespace llmctl::jinja
