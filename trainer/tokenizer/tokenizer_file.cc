// Reads a tokenizer.json into Tokenizer::Parts. Everything in the file either takes effect or is
// refused by name; the exceptions are post_processor, truncation and padding, which concern whole
// prompts and not the ids of a text.
#include <simdjson.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/limits.h"
#include "trainer/tokenizer/bpe_alphabet.h"
#include "trainer/tokenizer/parts.h"

namespace llmctl {
namespace dom = simdjson::dom;
namespace {

constexpr size_t kFileDepth = 32;
constexpr size_t kSteps = 16;  // of a normalizer, pre-tokenizer or decoder
constexpr size_t kAddedTokens = 100'000;
constexpr size_t kContentBytes = 4096;  // of an added token or a replacement

Error bad_at(const std::string& place, const std::string& what) {
  return Error{Code::invalid_argument, place.empty() ? what : place + ": " + what, ""};
}

// The value of a field, with its place for messages. Absent and null are the same.
class Member {
 public:
  Member(dom::element value, std::string place) : value_(value), place_(std::move(place)) {}
  Member(std::string place) : place_(std::move(place)) {}

  const std::string& place() const { return place_; }
  bool present() const { return value_ && !value_->is_null(); }
  Member operator[](const std::string& key) const {
    dom::element inner;
    const std::string inner_place = place_.empty() ? key : place_ + "." + key;
    if (!value_ || value_->at_key(key).get(inner) != simdjson::SUCCESS) return {inner_place};
    return {inner, inner_place};
  }
  Result<std::string> text(const std::string& otherwise) const {
    std::string_view string;
    if (!present()) return otherwise;
    if (value_->get(string) != simdjson::SUCCESS) return bad_at(place_, "expected a string");
    if (string.size() > kContentBytes * 4) return bad_at(place_, "string is too long");
    return std::string(string);
  }
  Result<bool> flag(bool otherwise) const {
    bool flag = otherwise;
    if (present() && value_->get(flag) != simdjson::SUCCESS) {
      return bad_at(place_, "expected true or false");
    }
    return flag;
  }
  Result<int64_t> number() const {
    int64_t number = 0;
    if (!present() || value_->get(number) != simdjson::SUCCESS) {
      return bad_at(place_, "expected a whole number");
    }
    return number;
  }
  Result<dom::object> object() const {
    dom::object object;
    if (!present() || value_->get(object) != simdjson::SUCCESS) {
      return bad_at(place_, "expected an object");
    }
    return object;
  }
  Result<std::vector<Member>> list(size_t limit) const {
    std::vector<Member> items;
    if (!present()) return items;
    dom::array array;
    if (value_->get(array) != simdjson::SUCCESS) return bad_at(place_, "expected a list");
    for (const dom::element item : array) {
      if (items.size() >= limit) {
        return bad_at(place_, "more than " + std::to_string(limit) + " entries");
      }
      items.emplace_back(item, place_ + "[" + std::to_string(items.size()) + "]");
    }
    return items;
  }
  Error unsupported(const std::string& what) const {
    return bad_at(place_, what + " is not supported");
  }

 private:
  std::optional<dom::element> value_;
  std::string place_;
};

// A component is null, one step, or a Sequence (nested ones too) whose steps are under `items`.
Status flatten(const Member& component, const std::string& items, std::vector<Member>& steps) {
  if (!component.present()) return ok_status();
  TRY(component.object());
  if (TRY(component["type"].text("")) != "Sequence") {
    if (steps.size() >= kSteps) return bad_at(component.place(), "too many steps");
    steps.push_back(component);
    return ok_status();
  }
  for (const Member& item : TRY(component[items].list(kSteps))) TRY(flatten(item, items, steps));
  return ok_status();
}

Result<std::string> replaced_text(const Member& step) {
  if (step["pattern"]["Regex"].present()) return step["pattern"].unsupported("Regex");
  auto text = TRY(step["pattern"]["String"].text(""));
  if (text.empty()) return bad_at(step["pattern"].place(), "expected {\"String\": \"...\"}");
  return text;
}

Status read_normalizer(const Member& root, Tokenizer::Parts& parts) {
  std::vector<Member> steps;
  TRY(flatten(root["normalizer"], "normalizers", steps));
  for (const Member& field : steps) {
    const std::string type = TRY(field["type"].text(""));
    using Kind = NormalizerStep::Kind;
    NormalizerStep step;
    if (type == "Prepend") {
      step.content = TRY(field["prepend"].text(""));
    } else if (type == "Replace") {
      step.kind = Kind::replace;
      step.pattern = TRY(replaced_text(field));
      step.content = TRY(field["content"].text(""));
    } else if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") {
      step.kind = type == "NFC"    ? Kind::nfc
                  : type == "NFD"  ? Kind::nfd
                  : type == "NFKC" ? Kind::nfkc
                                   : Kind::nfkd;
    } else {
      return field["type"].unsupported("\"" + type + "\"");
    }
    parts.normalizer.push_back(std::move(step));
  }
  return ok_status();
}

Result<SplitPattern> read_pattern(const Member& field) {
  if (field["String"].present()) return SplitPattern::literal(TRY(field["String"].text("")));
  const std::string regex = TRY(field["Regex"].text(""));
  if (regex.empty()) return bad_at(field.place(), "expected {\"Regex\": ...} or {\"String\": ...}");
  auto compiled = SplitPattern::compile(regex);
  if (!compiled.ok()) return bad_at(field.place(), compiled.error().message);
  return compiled;
}

Result<PreTokenizerStep> read_split(const Member& field) {
  PreTokenizerStep step;
  step.pattern.push_back(TRY(read_pattern(field["pattern"])));
  const std::string behavior = TRY(field["behavior"].text(""));
  const bool invert = TRY(field["invert"].flag(false));
  if (behavior == "Removed") {
    step.remove_matches = !invert;
    step.keep_only_matches = invert;
  } else if (behavior != "Isolated") {
    return field["behavior"].unsupported("\"" + behavior + "\"");
  }
  return step;
}

Result<PreTokenizerStep> read_metaspace(const Member& field) {
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::metaspace;
  step.replacement = TRY(field["replacement"].text("\u2581"));
  if (TRY(field["split"].flag(true))) return field["split"].unsupported("true");
  const std::string scheme = TRY(field["prepend_scheme"].text("always"));
  if (scheme == "first") {
    step.prepend = PreTokenizerStep::Prepend::first;
  } else if (scheme == "always") {
    step.prepend = PreTokenizerStep::Prepend::always;
  } else if (scheme != "never") {
    return field["prepend_scheme"].unsupported("\"" + scheme + "\"");
  }
  return step;
}

Result<PreTokenizerStep> read_pretokenizer_step(const Member& field) {
  const std::string type = TRY(field["type"].text(""));
  if (type == "Split") return read_split(field);
  if (type == "Metaspace") return read_metaspace(field);
  PreTokenizerStep step;
  if (type == "ByteLevel") {
    step.kind = PreTokenizerStep::Kind::byte_level;
    step.add_prefix_space = TRY(field["add_prefix_space"].flag(true));
    if (TRY(field["use_regex"].flag(true))) step.pattern.push_back(gpt2_pattern());
    return step;
  }
  if (type == "Digits") {
    const bool single = TRY(field["individual_digits"].flag(false));
    step.pattern.push_back(TRY(SplitPattern::compile(single ? "\\p{N}" : "\\p{N}+")));
    return step;
  }
  return field["type"].unsupported("\"" + type + "\"");
}

Status read_pretokenizer(const Member& root, Tokenizer::Parts& parts) {
  std::vector<Member> steps;
  TRY(flatten(root["pre_tokenizer"], "pretokenizers", steps));
  for (const Member& field : steps) {
    // ByteLevel turns text into the byte alphabet: nothing after it would see the text.
    if (parts.pretokenizer.byte_level()) return field.unsupported("a step after ByteLevel");
    parts.pretokenizer.add(TRY(read_pretokenizer_step(field)));
  }
  return ok_status();
}

Status read_vocab(const Member& vocab, BpeModel& model) {
  for (const auto [token, value] : TRY(vocab.object())) {
    int64_t id = -1;
    if (value.get(id) != simdjson::SUCCESS) {
      return bad_at(vocab.place() + "[\"" + std::string(token.substr(0, 40)) + "\"]",
                    "expected a whole number");
    }
    const Status added = model.add_token(token, id);
    if (!added.ok()) return bad_at(vocab.place(), added.error().message);
  }
  return ok_status();
}

// "left right" or ["left", "right"]; views into the parsed document.
Result<std::pair<std::string_view, std::string_view>> merge_sides(dom::element merge) {
  std::string_view text, left, right;
  dom::array pair;
  if (merge.get(text) == simdjson::SUCCESS) {
    const size_t space = text.find(' ');
    if (space == text.npos || text.find(' ', space + 1) != text.npos) {
      return bad_at("", "expected two tokens with one space between");
    }
    return std::pair(text.substr(0, space), text.substr(space + 1));
  }
  if (merge.get(pair) != simdjson::SUCCESS || pair.size() != 2 ||
      pair.at(0).get(left) != simdjson::SUCCESS || pair.at(1).get(right) != simdjson::SUCCESS) {
    return bad_at("", "expected \"left right\" or [\"left\", \"right\"]");
  }
  return std::pair(left, right);
}

Status read_merges(dom::element root, BpeModel& model) {
  dom::array merges;
  if (root["model"]["merges"].get(merges) != simdjson::SUCCESS) {
    return bad_at("model.merges", "expected a list");
  }
  size_t index = 0;
  for (const dom::element merge : merges) {
    const auto added = [&]() -> Status {
      const auto [left, right] = TRY(merge_sides(merge));
      return model.add_merge(left, right);
    }();
    if (!added.ok()) {
      return bad_at("model.merges[" + std::to_string(index) + "]", added.error().message);
    }
    ++index;
  }
  return ok_status();
}

Status read_model(dom::element document, const Member& root, Tokenizer::Parts& parts) {
  const Member model = root["model"];
  TRY(model.object());
  const std::string type = TRY(model["type"].text("BPE"));
  if (type != "BPE") return model["type"].unsupported("\"" + type + "\"");
  if (model["dropout"].present()) return model["dropout"].unsupported("dropout");
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!TRY(model[affix].text("")).empty()) return model[affix].unsupported("an affix");
  }
  BpeModel::Options options;
  options.byte_level = parts.pretokenizer.byte_level();
  options.byte_fallback = TRY(model["byte_fallback"].flag(false));
  options.fuse_unk = TRY(model["fuse_unk"].flag(false));
  options.ignore_merges = TRY(model["ignore_merges"].flag(false));
  options.unk_token = TRY(model["unk_token"].text(""));
  TRY(read_vocab(model["vocab"], parts.model));
  TRY(read_merges(document, parts.model));
  const Status finished = parts.model.finish(options);
  if (!finished.ok()) return bad_at("model", finished.error().message);
  return ok_status();
}

Result<AddedToken> read_added_token(const Member& field, const BpeModel& model) {
  AddedToken token;
  token.content = TRY(field["content"].text(""));
  if (token.content.size() > kContentBytes) return bad_at(field["content"].place(), "too long");
  const int64_t id = TRY(field["id"].number());
  if (id < 0 || id >= limits::kVocabSize) return bad_at(field["id"].place(), "out of range");
  token.id = static_cast<int32_t>(id);
  const auto known = model.id_of(token.content);
  if (known && *known != token.id) {
    return bad_at(field["id"].place(),
                  "the vocabulary gives this token the id " + std::to_string(*known));
  }
  const auto& tokens = model.tokens();
  const auto index = static_cast<size_t>(id);
  if (!known && index < tokens.size() && !tokens[index].empty()) {
    return bad_at(field["id"].place(), "is already that of another token of the vocabulary");
  }
  token.single_word = TRY(field["single_word"].flag(false));
  token.lstrip = TRY(field["lstrip"].flag(false));
  token.rstrip = TRY(field["rstrip"].flag(false));
  token.normalized = TRY(field["normalized"].flag(false));
  token.special = TRY(field["special"].flag(false));
  return token;
}

Status read_added_tokens(const Member& root, Tokenizer::Parts& parts) {
  std::set<int32_t> ids;
  size_t bytes = 0;
  for (const Member& field : TRY(root["added_tokens"].list(kAddedTokens))) {
    AddedToken token = TRY(read_added_token(field, parts.model));
    if (!ids.insert(token.id).second) return bad_at(field["id"].place(), "appears twice");
    bytes += token.content.size();
    if (bytes > (1 << 20)) return bad_at(root["added_tokens"].place(), "more than 1 MiB of text");
    if (token.normalized) {
      parts.normalized_tokens.add(token, TRY(normalize(parts.normalizer, token.content)));
    } else {
      parts.raw_tokens.add(token, token.content);
    }
    parts.added.push_back(std::move(token));
  }
  return ok_status();
}

Status read_decoder(const Member& root, Tokenizer::Parts& parts) {
  std::vector<Member> steps;
  TRY(flatten(root["decoder"], "decoders", steps));
  DecoderRules& rules = parts.decoder;
  if (steps.empty()) {
    if (parts.pretokenizer.byte_level()) return ok_status();
    return root["decoder"].unsupported("null");
  }
  rules.kind = DecoderRules::Kind::pieces;
  for (const Member& step : steps) {
    const std::string type = TRY(step["type"].text(""));
    if (type == "ByteLevel" && steps.size() == 1) {
      rules.kind = DecoderRules::Kind::byte_level;
    } else if (type == "Replace") {
      rules.replacements.emplace_back(TRY(replaced_text(step)), TRY(step["content"].text("")));
    } else if (type == "ByteFallback") {
      rules.byte_fallback = true;
    } else if (type == "Metaspace") {
      rules.replacements.emplace_back(TRY(step["replacement"].text("\u2581")), " ");
      rules.strip_first_space = TRY(step["prepend_scheme"].text("always")) != "never";
    } else if (type == "Strip") {
      const bool known = TRY(step["content"].text("")) == " " && TRY(step["start"].number()) == 1 &&
                         TRY(step["stop"].number()) == 0;
      if (!known) return step.unsupported("a Strip other than one leading space");
      rules.strip_first_space = true;
    } else if (type != "Fuse") {
      return step["type"].unsupported("\"" + type + "\"");
    }
  }
  return ok_status();
}

std::string decoded(const DecoderRules& rules, const std::string& token) {
  if (rules.kind == DecoderRules::Kind::byte_level) return alphabet_bytes(token).value_or(token);
  if (rules.byte_fallback && token.size() == 6 && token.starts_with("<0x") && token[5] == '>' &&
      std::isxdigit(static_cast<uint8_t>(token[3])) != 0 &&
      std::isxdigit(static_cast<uint8_t>(token[4])) != 0) {
    return {static_cast<char>(std::stoi(token.substr(3, 2), nullptr, 16))};
  }
  std::string text = token;
  for (const auto& [pattern, content] : rules.replacements) {
    for (size_t at = text.find(pattern); at != text.npos; at = text.find(pattern, at)) {
      text.replace(at, pattern.size(), content);
      at += content.size();
      if (text.size() > 64 * kContentBytes) return token;  // a replacement bomb
    }
  }
  return text;
}

void fill_bytes_of_ids(Tokenizer::Parts& parts) {
  parts.bytes_of_id.reserve(parts.model.tokens().size());
  for (const std::string& token : parts.model.tokens()) {
    parts.bytes_of_id.push_back(decoded(parts.decoder, token));
  }
  for (const AddedToken& token : parts.added) {
    const auto index = static_cast<size_t>(token.id);
    if (index >= parts.bytes_of_id.size()) parts.bytes_of_id.resize(index + 1);
    parts.bytes_of_id[index] = decoded(parts.decoder, token.content);
  }
}

}  // namespace

Status read_tokenizer_file(std::string_view text, Tokenizer::Parts& parts) {
  if (text.size() > static_cast<size_t>(limits::kTokenizerFileBytes)) {
    return bad_at("", "larger than " + std::to_string(limits::kTokenizerFileBytes) + " bytes");
  }
  dom::parser parser;
  dom::element element;
  auto failed = parser.allocate(std::max<size_t>(text.size(), 64), kFileDepth);
  if (failed == simdjson::SUCCESS) failed = parser.parse(text.data(), text.size()).get(element);
  if (failed != simdjson::SUCCESS) {
    return bad_at("", std::string("not valid JSON: ") + simdjson::error_message(failed));
  }
  const Member root(element, "");
  TRY(root.object());
  TRY(read_normalizer(root, parts));
  TRY(read_pretokenizer(root, parts));
  TRY(read_model(element, root, parts));
  TRY(read_added_tokens(root, parts));
  TRY(read_decoder(root, parts));
  fill_bytes_of_ids(parts);
  if (parts.bytes_of_id.empty()) return bad_at("model.vocab", "is empty");
  return ok_status();
}

std::string byte_level_json(const std::vector<std::pair<int32_t, int32_t>>& merges,
                            const std::vector<std::string>& special) {
  std::vector<std::string> tokens;
  tokens.reserve(merges.size() + 257);
  auto vocab = nlohmann::ordered_json::object();
  auto merge_texts = nlohmann::ordered_json::array();
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(alphabet_char(static_cast<uint8_t>(byte)));
  }
  for (const auto& [left, right] : merges) {
    const std::string& a = tokens[static_cast<size_t>(left)];
    const std::string& b = tokens[static_cast<size_t>(right)];
    merge_texts.push_back(std::string(a).append(" ").append(b));
    tokens.push_back(std::string(a).append(b));
  }
  auto added = nlohmann::ordered_json::array();
  const auto add = [&](const std::string& token) {
    added.push_back({{"id", tokens.size()},
                     {"content", token},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
    tokens.push_back(token);
  };
  add("<|endoftext|>");
  for (const std::string& token : special) add(token);
  // push_back appends without the linear search of operator[]; the tokens are distinct.
  for (size_t id = 0; id < tokens.size(); ++id) vocab.push_back({tokens[id], id});
  const nlohmann::ordered_json byte_level = {{"type", "ByteLevel"},
                                             {"add_prefix_space", false},
                                             {"trim_offsets", true},
                                             {"use_regex", true}};
  const nlohmann::ordered_json root = {{"version", "1.0"},
                                       {"truncation", nullptr},
                                       {"padding", nullptr},
                                       {"added_tokens", std::move(added)},
                                       {"normalizer", nullptr},
                                       {"pre_tokenizer", byte_level},
                                       {"post_processor", nullptr},
                                       {"decoder", byte_level},
                                       {"model",
                                        {{"type", "BPE"},
                                         {"dropout", nullptr},
                                         {"unk_token", nullptr},
                                         {"continuing_subword_prefix", nullptr},
                                         {"end_of_word_suffix", nullptr},
                                         {"fuse_unk", false},
                                         {"byte_fallback", false},
                                         {"ignore_merges", false},
                                         {"vocab", std::move(vocab)},
                                         {"merges", std::move(merge_texts)}}}};
  return root.dump() + "\n";
}

}  // namespace llmctl
