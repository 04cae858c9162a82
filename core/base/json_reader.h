// JsonReader: strict reading of one JSON object from outside (report lines, plans, configs). A
// field of the wrong type or out of range is an error that names it; the first error is kept and
// later reads do nothing. Absent optional fields leave their default; unknown fields are ignored,
// so a newer writer can be read. No exception leaves this file. Not thread-safe.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace llmctl {

// One JSON value and nothing after it. Invalid text or UTF-8: invalid_argument, naming `what`.
Result<nlohmann::json> parse_json(std::string_view text, std::string_view what);
// Compact text; bytes that are not UTF-8 become U+FFFD, numbers that are not finite become null.
std::string dump_json(const nlohmann::json& document);
nlohmann::json number_json(double value);  // whole numbers without a fraction: 1, not 1.0

class JsonReader {
 public:
  // Requires: `document` outlives the reader. `what` names it in errors: "plan".
  JsonReader(const nlohmann::json& document, std::string_view what);

  void need(const char* name);  // an error when the field is absent
  void read(const char* name,
            int64_t& value,
            int64_t min = 0,
            int64_t max = std::numeric_limits<int64_t>::max());
  void read(const char* name, int32_t& value, int32_t min = 0);
  void read(const char* name, double& value);         // finite
  void read_or_nan(const char* name, double& value);  // null is NaN
  void read(const char* name, bool& value);
  void read(const char* name, std::string& value);
  const nlohmann::json* child(const char* name);  // nullptr: absent, or an error came before
  void fail(const char* name, std::string_view expected);
  Status status() const;

 private:
  const nlohmann::json* find(const char* name);

  const nlohmann::json& document_;
  std::string what_;
  std::optional<Error> error_;
};

}  // namespace llmctl
