// A field of a tokenizer.json with its place in the file, so that an error can name it:
// "model.vocab: expected an object". Views into the parsed document, which outlives it. Private to
// this room.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace llmctl {

inline constexpr size_t kContentBytes = 4096;  // of an added token or a replacement

inline Error invalid_at(const std::string& place, const std::string& what) {
  return invalid(place.empty() ? what : place + ": " + what);
}

// Absent and null are the same.
class JsonMember {
 public:
  JsonMember(simdjson::dom::element value, std::string place)
      : value_(value), place_(std::move(place)) {}
  JsonMember(std::string place) : place_(std::move(place)) {}

  const std::string& place() const { return place_; }
  bool present() const { return value_ && !value_->is_null(); }
  JsonMember operator[](const std::string& key) const {
    simdjson::dom::element inner;
    const std::string inner_place = place_.empty() ? key : place_ + "." + key;
    if (!value_ || value_->at_key(key).get(inner) != simdjson::SUCCESS) return {inner_place};
    return {inner, inner_place};
  }
  Result<std::string> text(const std::string& otherwise) const {
    if (!present()) return otherwise;
    const std::string_view string = TRY(long_text());
    if (string.size() > kContentBytes * 4) return invalid_at(place_, "string is too long");
    return std::string(string);
  }
  Result<std::string_view> long_text() const {  // a view into the document
    std::string_view string;
    if (!present() || value_->get(string) != simdjson::SUCCESS) {
      return invalid_at(place_, "expected a string");
    }
    return string;
  }
  Result<bool> flag(bool otherwise) const {
    bool flag = otherwise;
    if (present() && value_->get(flag) != simdjson::SUCCESS) {
      return invalid_at(place_, "expected true or false");
    }
    return flag;
  }
  Result<int64_t> number() const {
    int64_t number = 0;
    if (!present() || value_->get(number) != simdjson::SUCCESS) {
      return invalid_at(place_, "expected a whole number");
    }
    return number;
  }
  Result<double> real() const {
    double number = 0;
    if (!present() || value_->get(number) != simdjson::SUCCESS) {
      return invalid_at(place_, "expected a number");
    }
    return number;
  }
  Result<simdjson::dom::object> object() const {
    simdjson::dom::object object;
    if (!present() || value_->get(object) != simdjson::SUCCESS) {
      return invalid_at(place_, "expected an object");
    }
    return object;
  }
  Result<simdjson::dom::array> array() const {
    simdjson::dom::array array;
    if (!present() || value_->get(array) != simdjson::SUCCESS) {
      return invalid_at(place_, "expected a list");
    }
    return array;
  }
  // None when it is absent.
  Result<std::vector<JsonMember>> list(size_t limit) const {
    std::vector<JsonMember> items;
    if (!present()) return items;
    for (const simdjson::dom::element item : TRY(array())) {
      if (items.size() >= limit) {
        return invalid_at(place_, "more than " + std::to_string(limit) + " entries");
      }
      items.emplace_back(item, place_ + "[" + std::to_string(items.size()) + "]");
    }
    return items;
  }
  Error unsupported(const std::string& what) const {
    return invalid_at(place_, what + " is not supported");
  }

 private:
  std::optional<simdjson::dom::element> value_;
  std::string place_;
};

}  // namespace llmctl
