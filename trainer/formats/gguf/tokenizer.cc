#include "trainer/formats/gguf/tokenizer.h"

#include <nlohmann/json.hpp>

#include "core/base/json_reader.h"
#include "core/base/limits.h"
#include "trainer/tokenizer/pieces/published_patterns.h"

namespace llmctl {
namespace {

using nlohmann::json;

constexpr const char* kWhole = "tokenizer.huggingface.json";
constexpr const char* kChatTemplate = "tokenizer.chat_template";

enum TokenType : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<int32_t> types;
};

Error wrong_tokenizer(const std::string& what) {
  return {Code::invalid_argument, "tokenizer.json: " + what, ""};
}

// A member that may be absent: null then.
const json& member(const json& object, const char* name) {
  static const json none;
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() ? *found : none;
}

bool is_byte_token(const std::string& text) {
  return text.size() == 6 && text.starts_with("<0x") && text.ends_with('>');
}

Result<Vocabulary> read_vocabulary(const json& root, int64_t vocab_size) {
  Vocabulary out;
  const auto size = static_cast<size_t>(vocab_size);
  out.tokens.resize(size);
  out.types.assign(size, kUnused);
  const json& model = member(root, "model");
  const bool fallback = member(model, "byte_fallback") == true;
  const auto put = [&](const std::string& text, const json& id, TokenType type) -> Status {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= size) {
      return wrong_tokenizer("token " + dump_json(text) + ": its id is not a row of the embedding");
    }
    out.tokens[id.get<size_t>()] = text;
    out.types[id.get<size_t>()] = type;
    return ok_status();
  };
  if (!member(model, "vocab").is_object())
    return wrong_tokenizer("model.vocab: expected an object");
  for (const auto& [text, id] : model["vocab"].items()) {
    const TokenType type = member(model, "unk_token") == text ? kUnknown
                           : fallback && is_byte_token(text)  ? kByte
                                                              : kNormal;
    TRY(put(text, id, type));
  }
  for (const json& added : member(root, "added_tokens")) {
    if (!member(added, "content").is_string())
      return wrong_tokenizer("added_tokens: one has no content");
    const bool unknown = member(model, "unk_token") == added["content"];
    const TokenType type = unknown                            ? kUnknown
                           : member(added, "special") == true ? kControl
                                                              : kUserDefined;
    TRY(put(added["content"], member(added, "id"), type));
  }
  for (size_t id = 0; id < size; ++id) {
    if (out.types[id] == kUnused) out.tokens[id] = "[PAD" + std::to_string(id) + "]";
  }
  return out;
}

// Written as "a b" or ["a", "b"].
Result<std::vector<std::string>> read_merges(const json& model) {
  std::vector<std::string> merges;
  for (const json& merge : member(model, "merges")) {
    if (merge.is_string()) {
      merges.push_back(merge);
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
    } else {
      return wrong_tokenizer("model.merges: expected pairs of texts");
    }
  }
  return merges;
}

// SentencePiece joins the pair whose result scores highest: the earlier the merge, the higher.
std::vector<float> scores_of(const Vocabulary& vocabulary, const std::vector<std::string>& merges) {
  std::map<std::string, float> scores;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    std::string joined = merges[rank];
    joined.erase(joined.find(' '), 1);
    scores.emplace(std::move(joined), -static_cast<float>(rank + 1));
  }
  std::vector<float> out;
  for (const std::string& token : vocabulary.tokens) {
    const auto found = scores.find(token);
    out.push_back(found == scores.end() ? 0 : found->second);
  }
  return out;
}

// llmctl's tokenizers know three patterns; what llama.cpp calls them.
const char* pattern_name(const json& pre_tokenizer) {
  for (const json& step : member(pre_tokenizer, "pretokenizers")) {
    const char* name = pattern_name(step);
    if (name != nullptr) return name;
  }
  const json& regex = member(member(pre_tokenizer, "pattern"), "Regex");
  if (regex == kLlama3Pattern) return "llama-bpe";
  if (regex == kQwenPattern) return "qwen2";
  if (regex == kGpt2Pattern) return "gpt-2";
  if (regex.is_string()) return "default";
  const bool bytes = member(pre_tokenizer, "type") == "ByteLevel";
  return bytes && member(pre_tokenizer, "use_regex") != false ? "gpt-2" : nullptr;
}

bool begins_with_special(const json& processor) {
  for (const json& inner : member(processor, "processors")) {
    if (begins_with_special(inner)) return true;
  }
  const json& single = member(processor, "single");
  return single.is_array() && !single.empty() && single[0].contains("SpecialToken");
}

std::string chat_template(const Companions& companions, const json& tokenizer_config) {
  const auto file = companions.find("chat_template.jinja");
  if (file != companions.end()) return file->second;
  const json& given = member(tokenizer_config, "chat_template");
  if (given.is_string()) return given;
  for (const json& named : given) {
    if (member(named, "name") == "default" && member(named, "template").is_string()) {
      return named["template"];
    }
  }
  return "";
}

void add_special_ids(const json& config, GgufMetadata& out) {
  for (const auto& [name, key] : {std::pair{"bos_token_id", "bos_token_id"},
                                  {"eos_token_id", "eos_token_id"},
                                  {"pad_token_id", "padding_token_id"}}) {
    json id = member(config, name);
    if (id.is_array() && !id.empty()) id = id[0];
    if (!id.is_number_integer()) continue;
    const auto number = id.get<int64_t>();
    if (number >= 0 && number < limits::kVocabSize) {
      out[std::string("tokenizer.ggml.") + key] = static_cast<uint32_t>(number);
    }
  }
}

}  // namespace

Result<GgufMetadata> gguf_tokenizer(const Companions& companions,
                                    const json& config_json,
                                    int64_t vocab_size) {
  const std::string& text = companions.at("tokenizer.json");
  const json root = TRY(parse_json(text, "tokenizer.json"));
  const json& model = member(root, "model");
  if (member(model, "type") != "BPE")
    return wrong_tokenizer("model.type: only BPE has a form in GGUF");
  Vocabulary vocabulary = TRY(read_vocabulary(root, vocab_size));
  std::vector<std::string> merges = TRY(read_merges(model));
  json config = json::object();
  if (const auto given = companions.find("tokenizer_config.json"); given != companions.end()) {
    config = TRY(parse_json(given->second, given->first));
  }
  GgufMetadata out;
  add_special_ids(config_json, out);
  if (const std::string chat = chat_template(companions, config); !chat.empty()) {
    out[kChatTemplate] = chat;
  }
  const json& begins = member(config, "add_bos_token");
  out["tokenizer.ggml.add_bos_token"] = begins.is_boolean()
                                            ? begins.get<bool>()
                                            : begins_with_special(member(root, "post_processor"));
  if (member(model, "byte_fallback") == true) {
    out["tokenizer.ggml.model"] = std::string("llama");
    out["tokenizer.ggml.scores"] = scores_of(vocabulary, merges);
  } else {
    const char* pattern = pattern_name(member(root, "pre_tokenizer"));
    out["tokenizer.ggml.model"] = std::string("gpt2");
    out["tokenizer.ggml.pre"] = std::string(pattern == nullptr ? "default" : pattern);
    out["tokenizer.ggml.merges"] = std::move(merges);
  }
  out["tokenizer.ggml.tokens"] = std::move(vocabulary.tokens);
  out["tokenizer.ggml.token_type"] = std::move(vocabulary.types);
  out[kWhole] = text;
  return out;
}

Companions companions_of_gguf(const GgufFile& file) {
  Companions companions;
  const auto text = [&](const char* key) -> const std::string* {
    const auto found = file.metadata.find(key);
    return found == file.metadata.end() ? nullptr : std::get_if<std::string>(&found->second);
  };
  if (const std::string* whole = text(kWhole)) companions["tokenizer.json"] = *whole;
  if (const std::string* chat = text(kChatTemplate)) companions["chat_template.jinja"] = *chat;
  return companions;
}

json special_ids_of_gguf(const GgufFile& file) {
  json ids = json::object();
  for (const auto& [key, name] : {std::pair{"bos_token_id", "bos_token_id"},
                                  {"eos_token_id", "eos_token_id"},
                                  {"padding_token_id", "pad_token_id"}}) {
    const auto found = file.metadata.find(std::string("tokenizer.ggml.") + key);
    if (found == file.metadata.end()) continue;
    if (const auto* id = std::get_if<uint32_t>(&found->second)) ids[name] = *id;
  }
  return ids;
}

}  // namespace llmctl
