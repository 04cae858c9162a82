#include "trainer/tokenizer/decoder.h"

#include <algorithm>
#include <cctype>

#include "trainer/tokenizer/json_member.h"
#include "trainer/tokenizer/normalize.h"
#include "trainer/tokenizer/pieces/alphabet.h"

namespace llmctl {
namespace {

constexpr size_t kDecodedBytes = 64 * kContentBytes;  // a chain of replacements could be a bomb

std::string byte_of(const std::string& token) {
  const auto hex = [&](size_t at) { return std::isxdigit(static_cast<uint8_t>(token[at])) != 0; };
  const bool byte =
      token.size() == 6 && token.starts_with("<0x") && token[5] == '>' && hex(3) && hex(4);
  if (!byte) return token;
  return {static_cast<char>(std::stoi(token.substr(3, 2), nullptr, 16))};
}

std::string with(const std::string& text, const std::string& part, const std::string& instead) {
  auto made = replaced(SplitPattern::literal(part), instead, text);
  return made.ok() ? std::move(*made) : text;
}

std::string stripped(std::string text, const DecoderStep& step) {
  for (int64_t n = 0; n < step.start && text.starts_with(step.text); ++n) {
    text.erase(0, step.text.size());
  }
  for (int64_t n = 0; n < step.stop && text.ends_with(step.text); ++n) {
    text.resize(text.size() - step.text.size());
  }
  return text;
}

std::string applied(const DecoderStep& step, std::string text, bool is_first) {
  switch (step.kind) {
    case DecoderStep::Kind::replace: {
      auto made = replaced(*step.pattern, step.text, text);
      return made.ok() ? std::move(*made) : text;
    }
    case DecoderStep::Kind::byte_fallback:
      return byte_of(text);
    case DecoderStep::Kind::byte_level:
      return alphabet_bytes(text).value_or(text);
    case DecoderStep::Kind::metaspace:
      return with(text, step.text, is_first ? "" : " ");
    case DecoderStep::Kind::strip:
      return stripped(std::move(text), step);
    case DecoderStep::Kind::word_end:
      return with(text, step.text, " ");
  }
  return text;
}

}  // namespace

std::string decoded(const DecoderRules& rules, const std::string& token, bool is_first) {
  std::string text = token;
  for (const DecoderStep& step : rules.steps) {
    text = applied(step, std::move(text), is_first && rules.first_differs);
    if (text.size() > kDecodedBytes) return token;
  }
  return text;
}

}  // namespace llmctl
