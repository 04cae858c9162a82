// The rules, and the writing side of a field: text, JSON, schema. field_values.cc reads.
#include "core/fields/field_table.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/json_reader.h"
#include "core/base/units.h"

namespace llmctl {

using nlohmann::json;
using Type = Rule::Type;

Rule integer(double min, double max) {
  return {.type = Type::integer, .min = min, .max = max};
}
Rule number(double min, double max) {
  return {.type = Type::number, .min = min, .max = max};
}
Rule number_above(double min, double max) {
  return {.type = Type::number, .min = min, .max = max, .above = true};
}
Rule number_list(double above, double max) {
  return {.type = Type::numbers, .min = above, .max = max, .above = true};
}
Rule boolean() {
  return {.type = Type::boolean};
}
Rule text(double min_bytes, double max_bytes) {
  return {.type = Type::text, .min = min_bytes, .max = max_bytes};
}
Rule choice(const char* choices) {
  return {.type = Type::choice, .choices = choices};
}
Rule choices(const char* choices) {
  return {.type = Type::choices, .choices = choices};
}
Rule bytes() {
  return {.type = Type::bytes};
}
Rule duration() {
  return {.type = Type::duration};
}
Rule block() {
  return {.type = Type::block};
}
Rule automatic(Rule rule) {
  rule.automatic = true;
  return rule;
}

std::string_view take_word(std::string_view& list) {
  list.remove_prefix(std::min(list.find_first_not_of(' '), list.size()));
  const std::string_view word = list.substr(0, list.find(' '));
  list.remove_prefix(word.size());
  return word;
}

std::vector<std::string_view> words(std::string_view list) {
  std::vector<std::string_view> result;
  for (auto word = take_word(list); !word.empty(); word = take_word(list)) result.push_back(word);
  return result;
}

bool has_word(std::string_view list, std::string_view wanted) {
  for (auto word = take_word(list); !word.empty(); word = take_word(list)) {
    if (word == wanted) return true;
  }
  return false;
}

bool answers_to(const Field& field, std::string_view name) {
  return name == field.name || has_word(field.aliases, name);
}

static std::string plain(double value) {
  return dump_json(number_json(value));
}

static std::string range_text(const Rule& rule) {
  std::string least = (rule.above ? " > " : " >= ") + plain(rule.min);
  if (rule.max >= kUnbounded) return least;
  if (rule.above) return least + " and <= " + plain(rule.max);
  return " from " + plain(rule.min) + " to " + plain(rule.max);
}

static std::string joined(std::string_view choices) {
  std::string result;
  for (std::string_view word : words(choices)) {
    result += (result.empty() ? "" : ", ") + std::string(word);
  }
  return result;
}

std::string expectation(const Field& field) {
  const Rule& rule = field.rule;
  const std::string prefix = rule.automatic ? "auto or " : "";
  switch (rule.type) {
    case Type::integer:
      return prefix + "integer" + range_text(rule);
    case Type::number:
      return prefix + "number" + range_text(rule);
    case Type::numbers:
      return "list of numbers" + range_text(rule);
    case Type::boolean:
      return rule.automatic ? "auto, true or false" : "true or false";
    case Type::text:
      return "text";
    case Type::choice:
      return "one of " + joined(rule.choices);
    case Type::choices:
      return "list of " + joined(rule.choices);
    case Type::bytes:
      return "size like 24GiB or 512MB";
    case Type::duration:
      return "duration like 8h30m or 90s";
    case Type::block:
      return "mapping";
  }
  return "";
}

static std::string exact_bytes(Bytes bytes) {
  for (const auto& [scale, unit] : {std::pair{1LL << 30, "GiB"}, {1LL << 20, "MiB"}}) {
    if (bytes != 0 && bytes % scale == 0) return std::to_string(bytes / scale) + unit;
  }
  return std::to_string(bytes);
}

std::string value_text(const Field& field) {
  const json value = value_json(field);
  if (value.is_null()) return field.rule.automatic ? "auto" : "none";
  if (field.rule.type == Type::bytes) return exact_bytes(value.get<Bytes>());
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return plain(value.get<double>());
  return dump_json(value);
}

namespace {

// Appends a slot's value. Fixed names and numbers need no escapes; what does goes to the library.
struct JsonText {
  const Field& field;
  std::string& out;

  void operator()(std::monostate) const { out += "null"; }
  void operator()(const bool* value) const { out += *value ? "true" : "false"; }
  // A bare number of a duration is seconds, so its exact form carries the unit.
  void operator()(const int64_t* value) const {
    const bool unit = field.rule.type == Type::duration;
    if (unit) out += '"';
    out += std::to_string(*value);
    if (unit) out += "ms\"";
  }
  void operator()(const double* value) const { out += format_exact(*value); }
  void operator()(const std::string* value) const {
    const auto plain = [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; };
    if (!std::all_of(value->begin(), value->end(), plain)) {
      out += dump_json(*value);
      return;
    }
    out += '"';
    out += *value;
    out += '"';
  }
  template <class T>
  void operator()(const std::optional<T>* value) const {
    if (*value) return (*this)(&**value);
    out += "null";
  }
  template <class T>
  void operator()(const std::vector<T>* values) const {
    out += dump_json(*values);
  }
};

}  // namespace

void write_json(const Field& field, std::string& out) {
  std::visit([&](const auto& slot) { JsonText{field, out}(slot); }, field.slot);
}

json value_json(const Field& field) {
  std::string text;
  write_json(field, text);
  return json::parse(text);
}

static bool is_optional(const Slot& slot) {
  return std::holds_alternative<std::optional<int64_t>*>(slot) ||
         std::holds_alternative<std::optional<double>*>(slot) ||
         std::holds_alternative<std::optional<bool>*>(slot);
}

static json range_schema(const char* type, const Rule& rule) {
  json schema = {{"type", type}};
  schema[rule.above ? "exclusiveMinimum" : "minimum"] = number_json(rule.min);
  if (rule.max < kUnbounded) schema["maximum"] = number_json(rule.max);
  return schema;
}

static json choice_schema(const Rule& rule) {
  json choices = json::array();
  for (std::string_view word : words(rule.choices)) choices.push_back(std::string(word));
  return {{"enum", choices}};
}

static json typed_schema(const Rule& rule) {
  switch (rule.type) {
    case Type::integer:
      return range_schema("integer", rule);
    case Type::number:
      return range_schema("number", rule);
    case Type::numbers:
      return {{"type", "array"}, {"items", range_schema("number", rule)}};
    case Type::boolean:
      return {{"type", "boolean"}};
    case Type::text:
      return {{"type", "string"},
              {"minLength", rule.min > 0 ? 1 : 0},
              {"maxLength", number_json(rule.max)}};
    case Type::choice:
      return choice_schema(rule);
    case Type::choices:
      return {{"type", "array"}, {"items", choice_schema(rule)}, {"uniqueItems", true}};
    case Type::bytes:
    case Type::duration:
      return {{"type", {"string", "integer"}}};
    case Type::block:
      return {{"type", "object"}};
  }
  return json::object();
}

json value_schema(const Field& field) {
  json schema = typed_schema(field.rule);
  json choices = json::array({schema});
  if (field.rule.automatic) choices.push_back({{"const", "auto"}});
  if (is_optional(field.slot)) choices.push_back({{"type", "null"}});
  if (choices.size() > 1) schema = {{"anyOf", choices}};
  schema["description"] = field.help;
  const json value = value_json(field);
  const bool blank = value.is_string() && value.get_ref<const std::string&>().empty();
  if (!value.is_null() && !blank) schema["default"] = value;
  return schema;
}

}  // namespace llmctl
