#include "trainer/tokenizer/tokenizer_config.h"

#include <nlohmann/json.hpp>

#include "core/base/json_reader.h"
#include "core/base/limits.h"
#include "trainer/files/content_hash.h"
#include "trainer/files/mapped_file.h"

namespace llmctl {

using nlohmann::json;

Result<json> read_tokenizer_config(const std::filesystem::path& tokenizer_file) {
  const std::filesystem::path path = tokenizer_file.parent_path() / "tokenizer_config.json";
  std::error_code failed;
  if (!std::filesystem::is_regular_file(path, failed)) return json();
  const auto file = TRY(MappedFile::open(path));
  if (static_cast<Bytes>(file->bytes().size()) > limits::kTokenizerConfigBytes) {
    return invalid(path.string() + ": larger than 64 MiB");
  }
  json config = TRY(parse_json(as_text(file->bytes()), path.string()));
  if (!config.is_object()) return invalid(path.string() + ": not a JSON object");
  return config;
}

std::string special_token(const json& config, const char* name) {
  if (!config.is_object() || !config.contains(name)) return "";
  const json& token = config[name];
  const bool described = token.is_object() && token.contains("content");
  const json& text = described ? token["content"] : token;
  return text.is_string() ? text.get<std::string>() : "";
}

}  // namespace llmctl
