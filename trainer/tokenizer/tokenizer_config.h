// tokenizer_config.json: what Hugging Face keeps beside a tokenizer.json because that has no place
// for it. Hostile input. Any thread.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/base/result.h"

namespace llmctl {

// Of the tokenizer's directory; null when there is no such file. Too large, not valid JSON or no
// object: invalid_argument, naming the file.
Result<nlohmann::json> read_tokenizer_config(const std::filesystem::path& tokenizer_file);

// "eos_token" and the like: "<s>" or {"content": "<s>", ...}. Anything else is no token: "".
std::string special_token(const nlohmann::json& config, const char* name);

}  // namespace llmctl
