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

// The steps of a component: null, one, or a Sequence of them.
std::vector<json> steps_of(const json& component, const char* items) {
  std::vector<json> steps;
  if (component.is_object() && member(component, "type") != "Sequence") {
    steps.push_back(component);
    return steps;
  }
  for (const json& step : member(component, items)) {
    for (json& inner : steps_of(step, items)) steps.push_back(std::move(inner));
  }
  return steps;
}

// llama.cpp knows ways to cut text by name only; null: it has none for this.
const char* pattern_name(const std::vector<json>& steps) {
  if (steps.empty() || steps.size() > 2) return nullptr;
  const json& level = steps.back();
  const bool bytes =
      member(level, "type") == "ByteLevel" && member(level, "add_prefix_space") == false;
  const bool gpt2 = bytes && member(level, "use_regex") != false;
  if (steps.size() == 1) return gpt2 ? "gpt-2" : nullptr;
  const json& first = steps.front();
  const bool digits =
      member(first, "type") == "Digits" && member(first, "individual_digits") == true;
  if (gpt2) return digits ? "smollm" : nullptr;
  const bool inverted = member(first, "invert") == true;
  const bool keeps_matches = member(first, "behavior") == (inverted ? "Removed" : "Isolated");
  if (!bytes || member(first, "type") != "Split" || !keeps_matches) return nullptr;
  const json& regex = member(member(first, "pattern"), "Regex");
  if (regex == kLlama3Pattern) return "llama-bpe";
  if (regex == kQwenPattern) return "qwen2";
  return regex == kGpt2Pattern ? "gpt-2" : nullptr;
}

// llama.cpp changes text before it is cut in few ways; SentencePiece's are Prepend and Replace.
Status check_normalizer(const json& normalizer, bool sentencepiece) {
  for (const json& step : steps_of(normalizer, "normalizers")) {
    const json& type = member(step, "type");
    const bool known = sentencepiece ? type == "Prepend" || type == "Replace" : type == "NFC";
    if (known) continue;
    return Error{Code::invalid_argument,
                 "tokenizer.json: normalizer: " + dump_json(type) + " has no form in GGUF",
                 "export to a Hugging Face directory"};
  }
  return ok_status();
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

// Of several ends of text in generation_config.json the first that is not the eos token itself.
Status add_end_of_turn(const Companions& companions, GgufMetadata& out) {
  const auto given = companions.find("generation_config.json");
  if (given == companions.end()) return ok_status();
  const json generation = TRY(parse_json(given->second, given->first));
  const json& ends = member(generation, "eos_token_id");
  if (!ends.is_array()) return ok_status();
  const auto eos = out.find("tokenizer.ggml.eos_token_id");
  for (const json& id : ends) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= uint64_t{limits::kVocabSize}) continue;
    const auto end = id.get<uint32_t>();
    if (eos != out.end() && std::get<uint32_t>(eos->second) == end) continue;
    out["tokenizer.ggml.eot_token_id"] = end;
    break;
  }
  return ok_status();
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
  TRY(add_end_of_turn(companions, out));
  if (const std::string chat = chat_template(companions, config); !chat.empty()) {
    out[kChatTemplate] = chat;
  }
  const json& begins = member(config, "add_bos_token");
  out["tokenizer.ggml.add_bos_token"] = begins.is_boolean()
                                            ? begins.get<bool>()
                                            : begins_with_special(member(root, "post_processor"));
  const bool sentencepiece = member(model, "byte_fallback") == true;
  TRY(check_normalizer(member(root, "normalizer"), sentencepiece));
  if (sentencepiece) {
    out["tokenizer.ggml.model"] = std::string("llama");
    out["tokenizer.ggml.scores"] = scores_of(vocabulary, merges);
  } else {
    const char* pattern = pattern_name(steps_of(member(root, "pre_tokenizer"), "pretokenizers"));
    out["tokenizer.ggml.model"] = std::string("gpt2");
    if (pattern == nullptr) {
      return Error{Code::invalid_argument,
                   "tokenizer.json: pre_tokenizer: cuts text in a way that has no name in GGUF, so "
                   "llama.cpp would cut it otherwise",
                   "export to a Hugging Face directory, and let llama.cpp convert that"};
    }
    out["tokenizer.ggml.pre"] = std::string(pattern);
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
