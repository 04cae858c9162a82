#include "core/base/utf8.h"

#include <vector>

#include <gtest/gtest.h>

namespace llmctl {

TEST(Utf8, KeepsWhatIsValid) {
  const std::string text = "a\u00e9\u20ac\U0001f600";
  EXPECT_EQ(valid_utf8(text), text);
}

TEST(Utf8, ReplacesEveryByteOfWhatIsNot) {
  EXPECT_EQ(valid_utf8("a\xff\xfe"), "a??");
  EXPECT_EQ(valid_utf8("\xc0\x80"), "??") << "overlong";
  EXPECT_EQ(valid_utf8("\xed\xa0\x80"), "???") << "a surrogate";
  EXPECT_EQ(valid_utf8("\xf4\x90\x80\x80"), "????") << "beyond U+10FFFF";
  EXPECT_EQ(valid_utf8("\xe2\x82"), "??") << "torn";
}

TEST(Utf8, CutsBeforeACharacterThatDoesNotFitWhole) {
  const std::string text = "a\u00e9\u20ac\U0001f600";  // 1 + 2 + 3 + 4 bytes
  const std::vector<size_t> sizes = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
  for (size_t limit = 0; limit < sizes.size(); ++limit) {
    const std::string cut = cut_utf8(text, static_cast<Bytes>(limit));
    EXPECT_EQ(cut, text.substr(0, sizes[limit])) << limit;
  }
  EXPECT_EQ(cut_utf8("\x80\x80\x80\x80\x80\x80", 5).find_first_not_of('?'), std::string::npos);
}

}  // namespace llmctl
