// What one call of llmctl gave.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace llmctl {

struct Answer {
  int code = 0;
  std::string out, err;
  nlohmann::json document() const { return nlohmann::json::parse(out, nullptr, false); }
};

}  // namespace llmctl
