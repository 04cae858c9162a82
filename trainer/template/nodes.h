// A parsed template: expressions and statements as trees. Built by parser.cc, walked by template.cc
// and expressions.cc. Every node knows how deep it is, so that walking and destroying are bounded.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "trainer/template/value.h"

namespace llmctl::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Expr {
  enum class Kind {
    literal,      // value
    name,         // text
    list,         // children
    map,          // children: key, value, key, value, ...
    attribute,    // children[0].text
    index,        // children[0][children[1]]
    slice,        // children[0][children[1]:children[2]:children[3]], absent ones null
    call,         // children[0](the others), named
    filter,       // children[0] | text(the others), named
    test,         // children[0] is text(the others)
    unary,        // text: not - +
    binary,       // text: + - * / // % ** ~ == != < <= > >= in
    logical_and,  // children[0] and children[1]
    logical_or,   // children[0] or children[1]
    conditional,  // children[0] if children[1] else children[2]
  };
  Kind kind = Kind::literal;
  int line = 1, depth = 1;
  std::string text;
  Value value;
  std::vector<ExprPtr> children;
  std::vector<std::pair<std::string, ExprPtr>> named;
};

struct Statement;
using Body = std::vector<Statement>;

struct Statement {
  enum class Kind {
    data,
    output,
    branches,
    loop,
    set,
    set_block,
    block,
    break_loop,
    continue_loop
  };
  Kind kind = Kind::data;
  int line = 1;
  std::string text;                // data
  std::vector<std::string> names;  // loop: targets; set: a name, or namespace and attribute
  ExprPtr value;                   // output, set; loop: what is walked over
  ExprPtr condition;               // loop: which items
  std::vector<std::pair<ExprPtr, Body>> branches;  // in order; null: else
  Body body, otherwise;                            // loop, set_block, block
};

}  // namespace llmctl::jinja
