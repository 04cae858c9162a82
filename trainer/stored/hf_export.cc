#include "trainer/stored/hf_export.h"

#include <nlohmann/json.hpp>

#include "core/base/json_reader.h"
#include "trainer/formats/hf/layout.h"
#include "trainer/stored/end_tokens.h"

namespace llmctl {
namespace {

using nlohmann::json;

json parsed(const Companions& companions, const char* name) {
  const auto found = companions.find(name);
  if (found == companions.end()) return json::object();
  json document = json::parse(found->second, nullptr, /*allow_exceptions=*/false);
  return document.is_object() ? document : json::object();
}

// "bos_token" of a tokenizer_config.json: a string or {"content": …}.
std::string token_named(const json& config, const char* name) {
  const auto found = config.find(name);
  if (found == config.end()) return "";
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_object() || !found->contains("content")) return "";
  const json& content = (*found)["content"];
  return content.is_string() ? content.get<std::string>() : "";
}

// The ids that Transformers wants to know, where the source does not say.
void add_special_ids(const Tokenizer& tokenizer, const json& tokenizer_config, json& config) {
  for (const char* role : {"bos", "eos", "pad"}) {
    const std::string key = std::string(role) + "_token_id";
    if (config.contains(key)) continue;
    auto id =
        tokenizer.id_of(token_named(tokenizer_config, (std::string(role) + "_token").c_str()));
    if (!id && std::string_view(role) == "eos") id = tokenizer.eos();
    if (id) config[key] = *id;
  }
}

json tokenizer_config_of(const Tokenizer& tokenizer, const ModelConfig& config, json given) {
  if (!given.contains("tokenizer_class")) given["tokenizer_class"] = "PreTrainedTokenizerFast";
  if (!given.contains("model_max_length")) {
    given["model_max_length"] = config.max_position_embeddings;
  }
  if (!given.contains("clean_up_tokenization_spaces")) {
    given["clean_up_tokenization_spaces"] = false;
  }
  if (!given.contains("eos_token") && tokenizer.eos()) {
    given["eos_token"] = tokenizer.token_of(*tokenizer.eos());
  }
  return given;
}

json generation_config_of(const json& config) {
  json generation = {{"_from_model_config", true}};
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    if (config.contains(key)) generation[key] = config[key];
  }
  return generation;
}

// What was learned to end turns ends texts, too, and the template that was learned counts.
void add_turn_end(const StoredModel& model, const Tokenizer& tokenizer, HfExport& out) {
  json generation = parsed(out.companions, "generation_config.json");
  const std::vector<int32_t> ends = end_tokens(model, tokenizer);
  generation["eos_token_id"] = ends.size() == 1 ? json(ends.front()) : json(ends);
  out.companions["generation_config.json"] = dump_json(generation) + "\n";
  json config = parsed(out.companions, "tokenizer_config.json");
  config.erase("chat_template");  // chat_template.jinja is the one
  out.companions["tokenizer_config.json"] = config.dump(2) + "\n";
}

}  // namespace

Result<HfExport> hf_export(const StoredModel& model, DType dtype) {
  HfExport out;
  out.config_json = TRY(to_hf_config(model.config));
  if (!model.config_json.is_null()) out.config_json = model.config_json;
  out.tensors = hf_from_slots(model.config, model.slots);
  out.dtype = dtype;
  out.companions = model.companions;
  const Result<Tokenizer> tokenizer = model.tokenizer();
  if (tokenizer.ok()) {
    const json given = parsed(model.companions, "tokenizer_config.json");
    add_special_ids(*tokenizer, given, out.config_json);
    out.companions["tokenizer_config.json"] =
        tokenizer_config_of(*tokenizer, model.config, given).dump(2) + "\n";
  }
  if (!out.companions.contains("generation_config.json")) {
    out.companions["generation_config.json"] =
        dump_json(generation_config_of(out.config_json)) + "\n";
  }
  if (tokenizer.ok() && model.turn_end) add_turn_end(model, *tokenizer, out);
  out.companions["README.md"] = model_card(model, dtype);
  return out;
}

}  // namespace llmctl
