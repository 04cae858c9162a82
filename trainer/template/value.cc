#include "trainer/template/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace llmctl::jinja {
namespace {

// Python's repr of a float: the shortest digits that read back equal.
std::string number_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  const double size = std::fabs(value);
  const bool fixed = size == 0 || (size >= 1e-4 && size < 1e16);
  char buffer[64];
  const auto format = fixed ? std::chars_format::fixed : std::chars_format::scientific;
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), value, format);
  CHECK(error == std::errc());
  std::string text(buffer, end);
  if (fixed && text.find('.') == text.npos) text += ".0";
  return text;
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          constexpr const char* kHex = "0123456789abcdef";
          out += std::string("\\u00") + kHex[c >> 4] + kHex[c & 15];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

class JsonWriter {
 public:
  explicit JsonWriter(int64_t indent) : indent_(indent) {}

  Status write(const Value& value) {
    switch (value.kind()) {
      case Value::Kind::none:
        out += "null";
        return ok_status();
      case Value::Kind::boolean:
        out += value.truth() ? "true" : "false";
        return ok_status();
      case Value::Kind::integer:
        out += std::to_string(value.integer());
        return ok_status();
      case Value::Kind::number:
        out += number_text(value.number());
        return ok_status();
      case Value::Kind::text:
        append_quoted(out, value.text());
        return ok_status();
      case Value::Kind::list:
        return write_all(value.items(), '[', ']',
                         [this](const Value& item) { return write(item); });
      case Value::Kind::map:
        return write_all(value.members(), '{', '}', [this](const auto& member) {
          append_quoted(out, member.first);
          out += ": ";
          return write(member.second);
        });
      case Value::Kind::undefined:
      case Value::Kind::space:
        break;
    }
    return Error{Code::invalid_argument,
                 std::string("tojson: ") + name_of(value.kind()) + " is not JSON", ""};
  }

  std::string out;

 private:
  template <class All, class Write>
  Status write_all(const All& all, char open, char close, const Write& write_one) {
    out += open;
    ++level_;
    bool first = true;
    for (const auto& one : all) {
      if (!first) out += indent_ < 0 ? ", " : ",";
      first = false;
      break_line();
      TRY(write_one(one));
    }
    --level_;
    if (!first) break_line();
    out += close;
    return ok_status();
  }
  void break_line() {
    if (indent_ < 0) return;
    out += '\n';
    out.append(static_cast<size_t>(indent_ * level_), ' ');
  }

  int64_t indent_, level_ = 0;
};

}  // namespace

void Value::Size::add(const Value& held) {
  depth = std::max(depth, held.depth() + 1);
  weight += held.weight();
}

Status Value::Size::check() const {
  if (depth <= kValueDepth && weight <= kValueWeight) return ok_status();
  return Error{Code::invalid_argument, "lists and mappings are too deep or too large", ""};
}

Result<Value> Value::list(Items items) {
  Size size;
  for (const Value& item : items) size.add(item);
  TRY(size.check());
  Value value;
  value.v_ = std::make_shared<const List>(List{std::move(items), size});
  return value;
}

Result<Value> Value::map(Members members) {
  Size size;
  Members unique;
  for (auto& member : members) {
    size.add(member.second);
    const auto same = std::find_if(unique.begin(), unique.end(),
                                   [&](const auto& old) { return old.first == member.first; });
    if (same != unique.end()) {
      same->second = std::move(member.second);
    } else {
      unique.push_back(std::move(member));
    }
  }
  TRY(size.check());
  Value value;
  value.v_ = std::make_shared<const Map>(Map{std::move(unique), size});
  return value;
}

Value Value::space(Members members) {
  Value value;
  value.v_ = Space{std::make_shared<Map>(Map{std::move(members), {kValueDepth, 1}})};
  return value;
}

Value::Kind Value::kind() const {
  return static_cast<Kind>(v_.index());
}

bool Value::truth() const {
  switch (kind()) {
    case Kind::undefined:
    case Kind::none:
      return false;
    case Kind::boolean:
      return std::get<bool>(v_);
    case Kind::integer:
      return std::get<int64_t>(v_) != 0;
    case Kind::number:
      return std::get<double>(v_) != 0;
    case Kind::text:
      return !text().empty();
    case Kind::list:
      return !items().empty();
    case Kind::map:
      return !members().empty();
    case Kind::space:
      break;
  }
  return true;
}

int Value::depth() const {
  if (is(Kind::list)) return std::get<std::shared_ptr<const List>>(v_)->size.depth;
  if (is(Kind::map)) return std::get<std::shared_ptr<const Map>>(v_)->size.depth;
  return is(Kind::space) ? kValueDepth : 0;
}

size_t Value::weight() const {
  if (is(Kind::list)) return std::get<std::shared_ptr<const List>>(v_)->size.weight;
  if (is(Kind::map)) return std::get<std::shared_ptr<const Map>>(v_)->size.weight;
  return is(Kind::text) ? 1 + text().size() / 64 : 1;
}

int64_t Value::integer() const {
  if (is(Kind::boolean)) return std::get<bool>(v_) ? 1 : 0;
  return std::get<int64_t>(v_);
}

double Value::number() const {
  return is(Kind::number) ? std::get<double>(v_) : static_cast<double>(integer());
}

const std::string& Value::text() const {
  return *std::get<std::shared_ptr<const std::string>>(v_);
}

const Items& Value::items() const {
  return std::get<std::shared_ptr<const List>>(v_)->items;
}

const Members& Value::members() const {
  if (is(Kind::space)) return std::get<Space>(v_).map->members;
  return std::get<std::shared_ptr<const Map>>(v_)->members;
}

const Value* Value::find(std::string_view key) const {
  for (const auto& [name, value] : members()) {
    if (name == key) return &value;
  }
  return nullptr;
}

Status Value::set(const std::string& key, const Value& value) const {
  Size size;
  size.add(value);
  TRY(size.check());  // a namespace in itself is too deep
  Members& members = std::get<Space>(v_).map->members;
  for (auto& [name, old] : members) {
    if (name != key) continue;
    old = value;
    return ok_status();
  }
  members.emplace_back(key, value);
  return ok_status();
}

bool Value::operator==(const Value& other) const {
  if (is_number() && other.is_number()) {
    if (is(Kind::number) || other.is(Kind::number)) return number() == other.number();
    return integer() == other.integer();
  }
  if (kind() != other.kind()) return false;
  switch (kind()) {
    case Kind::text:
      return text() == other.text();
    case Kind::list:
      return items() == other.items();
    case Kind::map: {
      const auto same = [&](const auto& member) {
        const Value* there = other.find(member.first);
        return there != nullptr && *there == member.second;
      };
      return members().size() == other.members().size() &&
             std::all_of(members().begin(), members().end(), same);
    }
    case Kind::space:
      return std::get<Space>(v_).map == std::get<Space>(other.v_).map;
    default:
      return true;
  }
}

const char* name_of(Value::Kind kind) {
  static const char* const kNames[] = {"an undefined value", "none",   "a boolean", "an integer",
                                       "a number",           "a text", "a list",    "a mapping",
                                       "a namespace"};
  return kNames[static_cast<size_t>(kind)];
}

Result<std::string> text_of(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::undefined:
      return std::string();
    case Value::Kind::none:
      return std::string("None");
    case Value::Kind::boolean:
      return std::string(value.truth() ? "True" : "False");
    case Value::Kind::integer:
      return std::to_string(value.integer());
    case Value::Kind::number:
      return number_text(value.number());
    case Value::Kind::text:
      return value.text();
    default:
      return Error{Code::invalid_argument,
                   std::string(name_of(value.kind())) + " cannot be printed; use tojson", ""};
  }
}

Result<std::string> json_of(const Value& value, int64_t indent) {
  JsonWriter writer(indent);
  TRY(writer.write(value));
  return std::move(writer.out);
}

}  // namespace llmctl::jinja
