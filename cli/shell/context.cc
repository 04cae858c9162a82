#include "cli/shell/context.h"

#include <nlohmann/json.hpp>

namespace llmctl {

void Context::print(const nlohmann::json& document) const {
  using nlohmann::json;
  out << document.dump(2, ' ', false, json::error_handler_t::replace) << "\n" << std::flush;
}

}  // namespace llmctl
