// The reading side of a field: what a scalar may look like. Stricter than YAML on purpose: 010,
// yes and "3" mean different things to different readers, so they are refused with the fix.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/base/suggest.h"
#include "core/base/units.h"
#include "core/fields/field_table.h"

namespace llmctl {

using Type = Rule::Type;

// Control characters could drive the terminal that shows them.
static std::string printable(std::string_view text) {
  constexpr size_t kShown = 60;
  std::string result;
  for (char c : text.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    result += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  return text.size() > kShown ? result + "…" : result;
}

static bool is_true(std::string_view text) {
  return has_word("true True TRUE", text);
}
static bool is_false(std::string_view text) {
  return has_word("false False FALSE", text);
}
static bool is_yes(std::string_view text) {
  return has_word("yes Yes YES on On ON y Y", text);
}
static bool is_no(std::string_view text) {
  return has_word("no No NO off Off OFF n N", text);
}

static std::string_view without_sign(std::string_view text) {
  return !text.empty() && (text[0] == '+' || text[0] == '-') ? text.substr(1) : text;
}

// 010, 0x10, 0o10, 0b1: other readers take them for octal, hexadecimal or binary.
static bool looks_octal(std::string_view text) {
  text = without_sign(text);
  return text.size() > 1 && text[0] == '0' &&
         (is_digit(text[1]) || has_word("x X o O b B", text.substr(1, 1)));
}

// Digits, underscores between digits, a fraction, an exponent; finite.
static std::optional<double> parse_number(std::string_view text) {
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool between =
        i > 0 && i + 1 < text.size() && is_digit(text[i - 1]) && is_digit(text[i + 1]);
    if (text[i] == '_' && between) continue;
    digits += text[i];
  }
  std::string_view body = digits;
  if (body.starts_with('+')) body.remove_prefix(1);
  const std::string_view first = body == digits ? without_sign(body) : body;
  if (first.empty() || !(is_digit(first[0]) || first[0] == '.')) return std::nullopt;
  double value = 0;
  auto [end, error] = std::from_chars(body.data(), body.data() + body.size(), value);
  if (error != std::errc() || end != body.data() + body.size()) return std::nullopt;
  if (!std::isfinite(value)) return std::nullopt;
  return value;
}

std::string shown(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      return "nothing";
    case Node::Kind::list:
      return "a list";
    case Node::Kind::map:
      return "a mapping";
    case Node::Kind::scalar:
      break;
  }
  const bool bare = !node.quoted && (parse_number(node.text) || is_true(node.text) ||
                                     is_false(node.text) || is_yes(node.text) || is_no(node.text));
  return bare ? printable(node.text) : "\"" + printable(node.text) + "\"";
}

static std::string wanted(const Field& field, const Node& node, const std::string& fix = "") {
  return "expected " + expectation(field) + ", got " + shown(node) +
         (fix.empty() ? "" : ": " + fix);
}

static std::string without_zeros(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of('0'), text.size() - 1));
  return std::string(text);
}

// Why a scalar that should be a number is none, with the fix where one is clear.
static std::string number_problem(const Field& field, const Node& node) {
  if (node.quoted && parse_number(node.text)) {
    return wanted(field, node, "write it without quotes");
  }
  const std::string_view digits = without_sign(node.text);
  if (looks_octal(node.text) && std::all_of(digits.begin(), digits.end(), is_digit)) {
    return wanted(field, node,
                  "a leading zero means octal to some; write " + without_zeros(digits));
  }
  if (looks_octal(node.text)) return wanted(field, node, "write it in decimal");
  return wanted(field, node);
}

static std::optional<std::string> read_number(const Field& field, const Node& node, double& value) {
  const auto parsed = parse_number(node.text);
  const bool octal = looks_octal(node.text) && parsed && node.text.find('.') == std::string::npos;
  if (node.quoted || octal || !parsed) return number_problem(field, node);
  const bool low = field.rule.above ? *parsed <= field.rule.min : *parsed < field.rule.min;
  if (low || *parsed > field.rule.max) return wanted(field, node);
  value = *parsed;
  return std::nullopt;
}

static std::optional<std::string> read_integer(const Field& field,
                                               const Node& node,
                                               int64_t& value) {
  double wide = 0;
  if (auto problem = read_number(field, node, wide)) return problem;
  // Every range ends at or below 2^53, where doubles are exact.
  if (wide != std::floor(wide)) return wanted(field, node);
  value = static_cast<int64_t>(wide);
  return std::nullopt;
}

static std::optional<std::string> read_boolean(const Field& field, const Node& node, bool& value) {
  if (!node.quoted && (is_true(node.text) || is_false(node.text))) {
    value = is_true(node.text);
    return std::nullopt;
  }
  if (is_true(node.text) || is_false(node.text)) {
    return wanted(field, node, "write it without quotes");
  }
  if (is_yes(node.text)) return wanted(field, node, "write true");
  if (is_no(node.text)) return wanted(field, node, "write false");
  return wanted(field, node);
}

static std::optional<std::string> read_text(const Field& field,
                                            const Node& node,
                                            std::string& value) {
  const std::string& text = node.text;
  const auto word = [&] { return is_true(text) || is_false(text) || is_yes(text) || is_no(text); };
  if (!node.quoted && (word() || looks_octal(text))) {
    return wanted(field, node, "write \"" + printable(text) + "\"");
  }
  const auto size = static_cast<double>(text.size());
  if (size < field.rule.min) return "must not be empty";
  if (size > field.rule.max) {
    return "longer than " + std::to_string(static_cast<int64_t>(field.rule.max)) + " bytes";
  }
  if (text.find('\0') != std::string::npos) return "must not contain a NUL character";
  value = text;
  return std::nullopt;
}

static std::optional<std::string> read_choice(const Field& field,
                                              const Node& node,
                                              std::string& value) {
  if (!has_word(field.rule.choices, node.text)) {
    return wanted(field, node) + did_you_mean(node.text, words(field.rule.choices));
  }
  value = node.text;
  return std::nullopt;
}

// A list, or one of its words.
static std::optional<std::string> read_choices(const Field& field,
                                               const Node& node,
                                               std::vector<std::string>& value) {
  std::vector<std::string> chosen;
  const bool list = node.kind == Node::Kind::list;
  for (const Node& item : list ? node.items : std::vector<Node>{node}) {
    std::string word;
    if (item.kind != Node::Kind::scalar) return wanted(field, item);
    if (auto problem = read_choice(field, item, word)) return problem;
    if (std::find(chosen.begin(), chosen.end(), word) == chosen.end()) chosen.push_back(word);
  }
  value = std::move(chosen);
  return std::nullopt;
}

static std::optional<std::string> read_numbers(const Field& field,
                                               const Node& node,
                                               std::vector<double>& value) {
  if (node.kind != Node::Kind::list) return wanted(field, node);
  std::vector<double> all;
  for (const Node& item : node.items) {
    if (item.kind != Node::Kind::scalar) return wanted(field, item);
    if (auto problem = read_number(field, item, all.emplace_back())) return problem;
  }
  value = std::move(all);
  return std::nullopt;
}

static std::optional<std::string> read_measure(const Field& field,
                                               const Node& node,
                                               int64_t& value) {
  const bool size = field.rule.type == Type::bytes;
  const Result<int64_t> parsed = size ? parse_bytes(node.text) : parse_duration(node.text);
  if (looks_octal(node.text) || !parsed.ok()) return wanted(field, node);
  value = *parsed;
  return std::nullopt;
}

static std::optional<std::string> read_int_slot(const Field& field,
                                                const Node& node,
                                                int64_t& value) {
  if (field.rule.type == Type::integer) return read_integer(field, node, value);
  return read_measure(field, node, value);
}

template <class T, class Read>
static std::optional<std::string> read_optional(const Field& field,
                                                const Node& node,
                                                std::optional<T>& value,
                                                Read read) {
  const bool absent =
      node.kind == Node::Kind::null ||
      (field.rule.automatic && node.kind == Node::Kind::scalar && node.text == "auto");
  if (absent) {
    value.reset();
    return std::nullopt;
  }
  if (node.kind != Node::Kind::scalar) return wanted(field, node);
  T parsed{};
  auto problem = read(field, node, parsed);
  if (!problem) value = parsed;
  return problem;
}

std::optional<std::string> read_value(const Field& field, const Node& node) {
  if (const auto* slot = std::get_if<std::optional<int64_t>*>(&field.slot)) {
    return read_optional(field, node, **slot, read_int_slot);
  }
  if (const auto* slot = std::get_if<std::optional<double>*>(&field.slot)) {
    return read_optional(field, node, **slot, read_number);
  }
  if (const auto* slot = std::get_if<std::optional<bool>*>(&field.slot)) {
    return read_optional(field, node, **slot, read_boolean);
  }
  if (const auto* slot = std::get_if<std::vector<std::string>*>(&field.slot)) {
    return read_choices(field, node, **slot);
  }
  if (const auto* slot = std::get_if<std::vector<double>*>(&field.slot)) {
    return read_numbers(field, node, **slot);
  }
  if (node.kind != Node::Kind::scalar) return wanted(field, node);
  if (const auto* slot = std::get_if<int64_t*>(&field.slot))
    return read_int_slot(field, node, **slot);
  if (const auto* slot = std::get_if<double*>(&field.slot)) return read_number(field, node, **slot);
  if (const auto* slot = std::get_if<bool*>(&field.slot)) return read_boolean(field, node, **slot);
  if (const auto* slot = std::get_if<std::string*>(&field.slot)) {
    const bool chosen = field.rule.type == Type::choice;
    return chosen ? read_choice(field, node, **slot) : read_text(field, node, **slot);
  }
  return wanted(field, node);
}

}  // namespace llmctl
