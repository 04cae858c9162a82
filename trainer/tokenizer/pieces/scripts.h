// `UnicodeScripts` of a tokenizer.json: cuts where the script changes. Pure.
#pragma once

#include <functional>
#include <string_view>

#include "core/base/result.h"

namespace llmctl {

Status split_by_script(std::string_view text,
                       const std::function<Status(std::string_view piece)>& emit);

}  // namespace llmctl
