#include "proto/checks.h"

#include <cmath>

namespace llmctl::wire {
namespace {

// Length of the valid UTF-8 sequence at `text[i]` (no overlong form, no surrogate); 0: invalid.
size_t sequence_length(std::string_view text, size_t i) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char lead = byte(i);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || i + length > text.size()) return 0;
  for (size_t k = 1; k < length; ++k) {
    if ((byte(i + k) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = byte(i + 1);
  const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
  const bool out_of_range = (lead == 0xED && second > 0x9F) || (lead == 0xF4 && second > 0x8F);
  return overlong || out_of_range ? 0 : length;
}

}  // namespace

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
  for (size_t i = 0; i < text.size();) {
    const size_t length = sequence_length(text, i);
    if (length == 0) text[i] = '?';
    i += length == 0 ? 1 : length;
  }
  return text;
}

std::string detail(std::string text) {
  if (text.size() > limits::kDetailBytes) text.resize(limits::kDetailBytes);
  return utf8(std::move(text));
}

}  // namespace llmctl::wire
