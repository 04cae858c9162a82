#include "trainer/tokenizer/tokenizer_file.h"

#include <algorithm>

#include "core/base/limits.h"

namespace llmctl {
namespace dom = simdjson::dom;
namespace {

constexpr size_t kFileDepth = 32;
constexpr size_t kSteps = 16;  // of a normalizer, pre-tokenizer or decoder

Status flatten(const JsonMember& component,
               const std::string& items,
               std::vector<JsonMember>& steps) {
  if (!component.present()) return ok_status();
  TRY(component.object());
  if (TRY(component["type"].text("")) != "Sequence") {
    if (steps.size() >= kSteps) return invalid_at(component.place(), "too many steps");
    steps.push_back(component);
    return ok_status();
  }
  for (const JsonMember& item : TRY(component[items].list(kSteps)))
    TRY(flatten(item, items, steps));
  return ok_status();
}

void fill_bytes_of_ids(Tokenizer::Parts& parts) {
  const auto& tokens = parts.model->vocabulary().tokens();
  parts.bytes_of_id.reserve(tokens.size());
  for (const std::string& token : tokens) {
    parts.bytes_of_id.push_back(decoded(parts.decoder, token, false));
  }
  for (const AddedToken& token : parts.added) {
    const auto index = static_cast<size_t>(token.id);
    if (index >= parts.bytes_of_id.size()) parts.bytes_of_id.resize(index + 1);
    parts.bytes_of_id[index] = decoded(parts.decoder, token.content, false);
  }
}

}  // namespace

Result<std::vector<JsonMember>> steps_of(const JsonMember& component, const std::string& items) {
  std::vector<JsonMember> steps;
  TRY(flatten(component, items, steps));
  return steps;
}

Result<SplitPattern> read_pattern(const JsonMember& field) {
  if (field["String"].present()) return SplitPattern::literal(TRY(field["String"].text("")));
  const std::string regex = TRY(field["Regex"].text(""));
  if (regex.empty())
    return invalid_at(field.place(), "expected {\"Regex\": ...} or {\"String\": ...}");
  auto compiled = SplitPattern::compile(regex);
  if (!compiled.ok()) return invalid_at(field.place(), compiled.error().message);
  return compiled;
}

Status read_tokenizer_file(std::string_view text, Tokenizer::Parts& parts) {
  if (text.size() > static_cast<size_t>(limits::kTokenizerFileBytes)) {
    return invalid_at("", "larger than " + std::to_string(limits::kTokenizerFileBytes) + " bytes");
  }
  dom::parser parser;
  dom::element element;
  auto failed = parser.allocate(std::max<size_t>(text.size(), 64), kFileDepth);
  if (failed == simdjson::SUCCESS) failed = parser.parse(text.data(), text.size()).get(element);
  if (failed != simdjson::SUCCESS) {
    return invalid_at("", std::string("not valid JSON: ") + simdjson::error_message(failed));
  }
  const JsonMember root(element, "");
  TRY(root.object());
  TRY(read_normalizer(root, parts));
  TRY(read_pretokenizer(root, parts));
  TRY(read_model(root, parts));
  TRY(read_added_tokens(root, parts));
  TRY(read_post_processor(root, parts));
  TRY(read_decoder(root, parts));
  fill_bytes_of_ids(parts);
  if (parts.bytes_of_id.empty()) return invalid_at("model.vocab", "is empty");
  return ok_status();
}

}  // namespace llmctl
