#include "cli/ask/selector.h"

#include <gtest/gtest.h>

namespace llmctl {

static std::string shape(const std::vector<std::string>& words) {
  const auto selectors = parse_selectors(words);
  if (!selectors.ok()) return "error: " + selectors.error().message;
  std::string text;
  for (const Selector& s : *selectors) {
    if (!text.empty()) text += " ";
    if (s.kind == Selector::Kind::last)
      text += "last";
    else if (s.kind == Selector::Kind::name)
      text += "name:" + s.name;
    else
      text += std::to_string(s.from) + ".." + std::to_string(s.to);
  }
  return text;
}

TEST(Selector, ReadsEveryFormOfId) {
  EXPECT_EQ(shape({"17"}), "17..17");
  EXPECT_EQ(shape({"1,4"}), "1..1 4..4");
  EXPECT_EQ(shape({"3-7", "last"}), "3..7 last");
  EXPECT_EQ(shape({"1,3-5,last"}), "1..1 3..5 last");
  EXPECT_EQ(shape({"quickstart"}), "name:quickstart");
  EXPECT_EQ(shape({"llama-7b"}), "name:llama-7b");
}

TEST(Selector, RefusesWhatIsNoId) {
  for (const char* bad :
       {"", "0", "-3", "3-", "7-3", "1,,2", "1-2-3", "99999999999999999999", ","}) {
    EXPECT_EQ(shape({bad}).substr(0, 6), "error:") << bad;
  }
}

TEST(Selector, AnErrorSaysWhatIsAccepted) {
  const auto selectors = parse_selectors({"7-3"});
  ASSERT_FALSE(selectors.ok());
  EXPECT_EQ(selectors.error().code, Code::invalid_argument);
  EXPECT_NE(selectors.error().hint.find("last"), std::string::npos);
}

}  // namespace llmctl
