// The checks from_wire() is made of. Each takes the field's name for its message and gives the
// value back, so that a conversion reads as a list of fields.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <optional>
#include <string>
#include <vector>

#include "core/base/limits.h"
#include "core/base/result.h"

namespace llmctl::wire {

Error bad_field(std::string_view field, std::string_view problem);
// The same error, one message further out: "devices[2]" + "slots: …" = "devices[2].slots: …".
Error inside(std::string_view field, Error error);

Result<int64_t> at_least(std::string_view field, int64_t value, int64_t minimum);
Result<int32_t> at_least(std::string_view field, int32_t value, int32_t minimum);
Result<double> finite(std::string_view field, double value);  // and not negative
Result<std::string> text(std::string_view field,
                         const std::string& value,
                         Bytes limit = limits::kDetailBytes);
// One path component: not empty, no slash, no leading dot.
Result<std::string> file_name(std::string_view field, const std::string& value);

// Text for the wire: bytes that are not UTF-8 become '?'.
std::string utf8(std::string text);
// Evidence for people, cut to limits::kDetailBytes: what was written must be readable again.
std::string detail(std::string text);

// An enumerator by its name, with parse(name) -> optional.
template <class Parse>
auto enumerator(std::string_view field, const std::string& value, Parse parse)
    -> Result<typename decltype(parse(value))::value_type> {
  auto found = parse(value);
  if (!found) return bad_field(field, "unknown value \"" + utf8(value.substr(0, 64)) + '"');
  return *found;
}

template <class T>
Result<T> inside(std::string_view field, Result<T> result) {
  if (!result.ok()) return inside(field, std::move(result).error());
  return result;
}

// Every element converted by `convert`; the error names the index.
template <class Message, class Convert>
auto list(std::string_view field,
          const google::protobuf::RepeatedPtrField<Message>& messages,
          int limit,
          Convert convert) -> Result<std::vector<std::decay_t<decltype(*convert(messages[0]))>>> {
  if (messages.size() > limit) {
    return bad_field(field, "at most " + std::to_string(limit) + " entries, got " +
                                std::to_string(messages.size()));
  }
  std::vector<std::decay_t<decltype(*convert(messages[0]))>> values;
  values.reserve(static_cast<size_t>(messages.size()));
  for (int i = 0; i < messages.size(); ++i) {
    auto value = convert(messages[i]);
    if (!value.ok()) {
      return inside(std::string(field) + '[' + std::to_string(i) + ']', std::move(value).error());
    }
    values.push_back(std::move(value).value());
  }
  return values;
}

}  // namespace llmctl::wire
