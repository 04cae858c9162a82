// A field table describes a config struct once: every field with its name, aliases, place in the
// struct, rule and help. Reading, checking, printing, the JSON Schema and the documentation all
// walk the same table. A table is bound to one object (job_fields.h); its defaults are those of a
// fresh object. Not thread-safe, as the object is not.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/fields/node.h"

namespace llmctl {

using Slot = std::variant<std::monostate,  // a block, read by its own code
                          int64_t*,
                          double*,
                          bool*,
                          std::string*,
                          std::optional<int64_t>*,
                          std::optional<double>*,
                          std::optional<bool>*,
                          std::vector<std::string>*,
                          std::vector<double>*>;

inline constexpr double kUnbounded = 1e15;  // exact as a double, beyond any real value

struct Rule {
  enum class Type {
    integer,
    number,
    numbers,
    boolean,
    text,
    choice,
    choices,
    bytes,
    duration,
    block
  } type;
  double min = 0, max = 0;   // integer, number; text: length in bytes
  bool above = false;        // min itself is excluded
  const char* choices = "";  // choice, choices: separated by spaces
  bool automatic = false;    // an optional whose absence is written "auto"
};
Rule integer(double min, double max);
Rule number(double min, double max);
Rule number_above(double min, double max);
Rule number_list(double above, double max);  // a list of them
Rule boolean();
Rule text(double min_bytes, double max_bytes);
Rule choice(const char* choices);   // one of them
Rule choices(const char* choices);  // a list of them, each at most once
Rule bytes();
Rule duration();
Rule block();
Rule automatic(Rule rule);

struct Field {
  const char* name;
  const char* aliases;  // separated by spaces
  Slot slot;
  Rule rule;
  const char* help;  // one or more sentences
};
using FieldTable = std::vector<Field>;

// Takes the first word off a list of them; empty: there is none.
std::string_view take_word(std::string_view& separated_by_spaces);
std::vector<std::string_view> words(std::string_view separated_by_spaces);
bool has_word(std::string_view separated_by_spaces, std::string_view word);
bool answers_to(const Field& field, std::string_view name);  // its name or an alias

// What a person may write: "integer >= 1", "one of cosine, linear, constant".
std::string expectation(const Field& field);
// Reads one value into the slot; an error message when the node does not obey the rule.
std::optional<std::string> read_value(const Field& field, const Node& node);
std::string value_text(const Field& field);             // "0.001", "auto", "none"
void write_json(const Field& field, std::string& out);  // appends the value as JSON text
nlohmann::json value_json(const Field& field);          // the same as a tree
nlohmann::json value_schema(const Field& field);

// How a node is quoted in a message: `"fast"`, `-1`, `a list`; safe to print on a terminal.
std::string shown(const Node& node);

}  // namespace llmctl
