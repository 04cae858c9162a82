#include "trainer/stored/end_tokens.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace llmctl {
namespace {

using nlohmann::json;

void add(int64_t id, const Tokenizer& tokenizer, std::vector<int32_t>& ids) {
  if (id < 0 || id >= tokenizer.vocab_size()) return;
  const auto one = static_cast<int32_t>(id);
  if (std::find(ids.begin(), ids.end(), one) == ids.end()) ids.push_back(one);
}

std::vector<int32_t> named_by(const json& config, const Tokenizer& tokenizer) {
  std::vector<int32_t> ids;
  if (!config.is_object() || !config.contains("eos_token_id")) return ids;
  const json& named = config["eos_token_id"];
  if (named.is_number_integer()) add(named.get<int64_t>(), tokenizer, ids);
  if (!named.is_array()) return ids;
  for (const json& id : named) {
    if (id.is_number_integer()) add(id.get<int64_t>(), tokenizer, ids);
  }
  return ids;
}

}  // namespace

std::vector<int32_t> end_tokens(const StoredModel& model, const Tokenizer& tokenizer) {
  std::vector<int32_t> ids;
  const auto generation = model.companions.find("generation_config.json");
  if (generation != model.companions.end()) {
    ids = named_by(json::parse(generation->second, nullptr, false), tokenizer);
  }
  if (ids.empty()) ids = named_by(model.config_json, tokenizer);
  if (ids.empty() && tokenizer.eos()) ids.push_back(*tokenizer.eos());
  if (model.turn_end) add(*model.turn_end, tokenizer, ids);
  return ids;
}

}  // namespace llmctl
