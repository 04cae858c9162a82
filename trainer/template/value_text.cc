// Values as text: Python's str(), and the JSON that tojson writes.
#include <charconv>
#include <cmath>

#include "trainer/template/value.h"

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
      case Value::Kind::large:
        out += std::to_string(value.large());
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
      case Value::Kind::name_space:
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
    case Value::Kind::large:
      return std::to_string(value.large());
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
