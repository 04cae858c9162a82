#include "trainer/tokenizer/tokenizer_file.h"

#include <algorithm>

#include "core/base/limits.h"
#include "trainer/tokenizer/bpe/alphabet.h"

namespace llmctl {
namespace dom = simdjson::dom;
namespace {

constexpr size_t kFileDepth = 32;

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
  TRY(read_decoder(root, parts));
  fill_bytes_of_ids(parts);
  if (parts.bytes_of_id.empty()) return invalid_at("model.vocab", "is empty");
  return ok_status();
}

}  // namespace llmctl
