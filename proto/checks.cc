#include "proto/checks.h"

#include <cmath>

#include "core/base/utf8.h"

namespace llmctl::wire {

Error bad_field(std::string_view field, std::string_view problem) {
  return Error{Code::invalid_argument, std::string(field) + ": " + std::string(problem), ""};
}

Error inside(std::string_view field, Error error) {
  error.message = std::string(field) + '.' + error.message;
  return error;
}

Result<int64_t> at_least(std::string_view field, int64_t value, int64_t minimum) {
  if (value >= minimum) return value;
  return bad_field(field,
                   "expected >= " + std::to_string(minimum) + ", got " + std::to_string(value));
}

Result<int32_t> at_least(std::string_view field, int32_t value, int32_t minimum) {
  TRY(at_least(field, static_cast<int64_t>(value), static_cast<int64_t>(minimum)));
  return value;
}

Result<double> finite(std::string_view field, double value) {
  if (std::isfinite(value) && value >= 0) return value;
  return bad_field(field, "expected a finite number >= 0, got " + std::to_string(value));
}

Result<std::string> text(std::string_view field, const std::string& value, Bytes limit) {
  if (static_cast<Bytes>(value.size()) <= limit) return value;
  return bad_field(
      field, "at most " + std::to_string(limit) + " bytes, got " + std::to_string(value.size()));
}

Result<std::string> file_name(std::string_view field, const std::string& value) {
  auto name = TRY(text(field, value, limits::kNameBytes));
  const bool plain = !name.empty() && name.front() != '.' && name.find('/') == std::string::npos &&
                     name.find('\0') == std::string::npos;
  if (plain) return name;
  return bad_field(field, "expected a plain file name, got \"" + utf8(name) + '"');
}

std::string utf8(std::string text) {
  return valid_utf8(std::move(text));
}

std::string detail(std::string text) {
  return cut_utf8(std::move(text), limits::kDetailBytes);
}

}  // namespace llmctl::wire
