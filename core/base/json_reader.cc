#include "core/base/json_reader.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace llmctl {

using nlohmann::json;

Result<json> parse_json(std::string_view text, std::string_view what) {
  json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  const bool cut =
      text.find('\0') != std::string_view::npos;  // the library would stop reading there
  if (cut || document.is_discarded()) {
    return Error{Code::invalid_argument, std::string(what) + " is not valid JSON", ""};
  }
  return document;
}

std::string dump_json(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

json number_json(double value) {
  constexpr double kExact = 1e15;
  const bool whole = std::abs(value) < kExact && std::floor(value) == value;
  return whole ? json(static_cast<int64_t>(value)) : json(value);
}

JsonReader::JsonReader(const json& document, std::string_view what)
    : document_(document), what_(what) {
  if (!document.is_object()) {
    error_ = Error{Code::invalid_argument, what_ + ": expected a JSON object", ""};
  }
}

const json* JsonReader::find(const char* name) {
  if (error_) return nullptr;
  auto it = document_.find(name);
  return it == document_.end() ? nullptr : &*it;
}

const json* JsonReader::child(const char* name) {
  return find(name);
}

void JsonReader::need(const char* name) {
  if (!error_ && find(name) == nullptr) {
    error_ = Error{Code::invalid_argument, what_ + ": " + name + " is missing", ""};
  }
}

void JsonReader::fail(const char* name, std::string_view expected) {
  if (error_) return;
  error_ = Error{Code::invalid_argument,
                 what_ + ": " + name + ": expected " + std::string(expected), ""};
}

void JsonReader::read(const char* name, int64_t& value, int64_t min, int64_t max) {
  const json* field = find(name);
  if (field == nullptr) return;
  if (!field->is_number_integer()) return fail(name, "an integer");
  const bool too_big = field->is_number_unsigned() &&
                       field->get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()};
  if (too_big || field->get<int64_t>() < min || field->get<int64_t>() > max) {
    return fail(name, "an integer from " + std::to_string(min) + " to " + std::to_string(max));
  }
  value = field->get<int64_t>();
}

void JsonReader::read(const char* name, int32_t& value, int32_t min) {
  int64_t wide = value;
  read(name, wide, min, std::numeric_limits<int32_t>::max());
  value = static_cast<int32_t>(wide);
}

void JsonReader::read(const char* name, double& value) {
  const json* field = find(name);
  if (field == nullptr) return;
  if (!field->is_number() || !std::isfinite(field->get<double>())) {
    return fail(name, "a finite number");
  }
  value = field->get<double>();
}

void JsonReader::read_or_nan(const char* name, double& value) {
  const json* field = find(name);
  if (field == nullptr) return;
  if (field->is_null()) {
    value = std::nan("");
  } else if (field->is_number()) {
    value = field->get<double>();
  } else {
    fail(name, "a number or null");
  }
}

void JsonReader::read(const char* name, bool& value) {
  const json* field = find(name);
  if (field == nullptr) return;
  if (!field->is_boolean()) return fail(name, "true or false");
  value = field->get<bool>();
}

void JsonReader::read(const char* name, std::string& value) {
  const json* field = find(name);
  if (field == nullptr) return;
  if (!field->is_string()) return fail(name, "a string");
  value = field->get_ref<const std::string&>();
}

Status JsonReader::status() const {
  if (error_) return *error_;
  return ok_status();
}

}  // namespace llmctl
