#include "core/base/log.h"

#include <cstdio>

#include "core/base/clock.h"

namespace llmctl {
namespace {

void write_line(std::string_view text) {
  std::string line = format_rfc3339(SystemClock().unix_ms());
  line.append(" ").append(text).append("\n");
  std::fwrite(line.data(), 1, line.size(), stderr);  // stderr is unbuffered
}

void write_fields(const char* level,
                  std::string_view what,
                  std::initializer_list<LogField> fields) {
  std::string text(level);
  text.append(" ").append(log_value(what));
  for (const LogField& field : fields) {
    text.append(" ").append(field.key).append("=").append(log_value(field.value));
  }
  write_line(text);
}

}  // namespace

std::string log_value(std::string_view value) {
  bool plain = !value.empty();
  for (const char c : value) plain = plain && c > ' ' && c != '"' && c != '\\' && c != 0x7F;
  if (plain) return std::string(value);
  std::string quoted = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') quoted += '\\';
    const bool control = static_cast<unsigned char>(c) < ' ' || c == 0x7F;
    quoted += control ? '?' : c;
  }
  return quoted + '"';
}

void log_info(std::string_view what, std::initializer_list<LogField> fields) {
  write_fields("info", what, fields);
}

void log_error(std::string_view what, std::initializer_list<LogField> fields) {
  write_fields("error", what, fields);
}

void log_sentence(std::string_view program, std::string_view sentence) {
  write_line(std::string(program).append(": ").append(sentence));
}

}  // namespace llmctl
