// The values of a chat template: Python's, as far as Jinja shows them. Immutable but for
// namespaces; copies share. Lists and mappings know how deep and how large they are with all that
// they hold, and too deep or too large ones are refused, so that nothing recurses without bound.
// Texts are UTF-8, and positions in them count characters. Not thread-safe where a namespace is
// shared.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/result.h"

namespace llmctl::jinja {

inline constexpr int kValueDepth = 96;
inline constexpr size_t kValueWeight = 4'000'000;  // values and 64-byte pieces of text in one value

class Value;
using Items = std::vector<Value>;
using Members = std::vector<std::pair<std::string, Value>>;  // in order of insertion

class Value {
 public:
  // large: a whole number from 2^63 below 2^64. It is kept to be written, not to be reckoned with.
  enum class Kind { undefined, none, boolean, integer, number, large, text, list, map, name_space };
  Value() = default;  // undefined
  static Value none() { return Value(std::monostate{}, 1); }
  Value(bool value) : v_(value) {}     // NOLINT: implicit
  Value(int64_t value) : v_(value) {}  // NOLINT: implicit
  Value(double value) : v_(value) {}   // NOLINT: implicit
  Value(std::string text)              // NOLINT: implicit
      : v_(std::make_shared<const std::string>(std::move(text))) {}
  Value(const char* text) : Value(std::string(text)) {}  // NOLINT: implicit
  static Value large(uint64_t value);
  static Result<Value> list(Items items);     // invalid_argument: too deep or too large
  static Result<Value> map(Members members);  // of equal keys the last one wins
  static Value name_space(Members members);   // what namespace() gives

  Kind kind() const;
  bool is(Kind kind) const { return this->kind() == kind; }
  bool is_number() const { return is(Kind::integer) || is(Kind::number) || is(Kind::boolean); }
  bool truth() const;
  int depth() const;      // 0 for what holds nothing
  size_t weight() const;  // at least 1

  // Each requires the kind; integer() and number() take booleans, too.
  int64_t integer() const;
  uint64_t large() const;
  double number() const;
  const std::string& text() const;
  const Items& items() const;
  const Members& members() const;  // of a map or a namespace
  const Value* find(std::string_view key) const;
  Status set(const std::string& key, const Value& value) const;  // of a namespace

  bool operator==(const Value& other) const;  // as Python: 1 == 1.0 == true

 private:
  struct Size {
    int depth = 1;  // of a namespace: more than any list may hold
    size_t weight = 1;
    void add(const Value& held);
    Status check() const;
  };
  struct List {
    Items items;
    Size size;
  };
  struct Map {
    Members members;
    Size size;
  };
  struct NameSpace {
    std::shared_ptr<Map> map;
  };
  Value(std::monostate, int) : v_(None{}) {}
  struct None {};
  std::variant<std::monostate,
               None,
               bool,
               int64_t,
               double,
               uint64_t,
               std::shared_ptr<const std::string>,
               std::shared_ptr<const List>,
               std::shared_ptr<const Map>,
               NameSpace>
      v_;
};

const char* name_of(Value::Kind kind);  // for messages: "a list"

// As str() in Python; lists and mappings are refused: tojson is meant.
Result<std::string> text_of(const Value& value);
// As json.dumps(value, ensure_ascii=False, indent=indent); indent < 0: none.
Result<std::string> json_of(const Value& value, int64_t indent = -1);

}  // namespace llmctl::jinja
