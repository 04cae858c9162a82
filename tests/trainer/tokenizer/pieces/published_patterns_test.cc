// The hand-written scanners against PCRE2 with the same pattern.
#include "trainer/tokenizer/pieces/published_patterns.h"

#include <gtest/gtest.h>
#include <utf8proc.h>

#include <random>

#include "trainer/tokenizer/pieces/split.h"

namespace llmctl {
namespace {

using Pieces = std::vector<std::string>;

Pieces pieces_by(const SplitPattern& pattern, const std::string& text, bool by_hand) {
  Pieces pieces;
  const auto keep = [&](std::string_view piece, bool) {
    pieces.emplace_back(piece);
    return ok_status();
  };
  const Status split = by_hand ? pattern.split(text, keep) : pattern.split_by_pcre2(text, keep);
  EXPECT_TRUE(split.ok());
  return pieces;
}

// Characters that patterns treat alike lie far apart, so half are drawn from where it matters.
std::string random_text(std::minstd_rand& random) {
  static const std::vector<std::string> kTelling = {
      " ",       "  ",     "\n",     "\r",     "\r\n", "\t",   "'",        "'s",          "'S",
      "'\u017F", "'ll",    "'rE",    "'v",     "a",    "Z",    "é",        "漢",          "1",
      "12",      "²",      "٣",      ".",      "!?",   "_",    "\u00A0",   "\u0085",      "\u2028",
      "\u3000",  "\u180E", "\u0301", "\u200D", "😀",    "\x80", "\xF0\x9F", "\xED\xA0\x80"};
  std::string text;
  for (auto n = random() % 24; n > 0; --n) {
    if (random() % 2 == 0) {
      text += kTelling[random() % kTelling.size()];
      continue;
    }
    const auto planes = random() % 2 == 0 ? 0x3000U : 0x110000U;
    utf8proc_uint8_t bytes[4];
    const auto code = static_cast<utf8proc_int32_t>(random() % planes);
    const auto length = utf8proc_encode_char(code, bytes);
    text.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
  }
  return text;
}

TEST(PublishedPattern, CutsEveryTextAsPcre2Does) {
  for (const std::string_view source : {kGpt2Pattern, kLlama3Pattern, kQwenPattern}) {
    const auto pattern = SplitPattern::compile(source);
    ASSERT_TRUE(pattern.ok());
    ASSERT_TRUE(pattern->published());
    std::minstd_rand random(7);
    for (int i = 0; i < 40'000; ++i) {
      const std::string text = random_text(random);
      ASSERT_EQ(pieces_by(*pattern, text, true), pieces_by(*pattern, text, false))
          << "\"" << text << "\" by " << source;
    }
  }
}

TEST(PublishedPattern, ClassesEveryCodePointAsPcre2Does) {
  const auto pattern = SplitPattern::compile(kGpt2Pattern);
  std::string text;
  for (utf8proc_int32_t code = 0; code < 0x110000; ++code) {
    utf8proc_uint8_t bytes[4];
    if (code >= 0xD800 && code < 0xE000) continue;
    text.append(reinterpret_cast<const char*>(bytes),
                static_cast<size_t>(utf8proc_encode_char(code, bytes)));
  }
  EXPECT_EQ(pieces_by(*pattern, text, true), pieces_by(*pattern, text, false));
}

TEST(PublishedPattern, IsOnlyTakenForItsExactText) {
  EXPECT_FALSE(PublishedPattern::recognise(std::string(kGpt2Pattern) + "|x"));
  EXPECT_FALSE(PublishedPattern::recognise(""));
}

}  // namespace
}  // namespace llmctl
