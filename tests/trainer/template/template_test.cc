// The Jinja of chat templates: as PyPI jinja2 renders it, which is asked where it is installed
// (reference_templates.py), and bounded against hostile templates.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/trainer/python.h"
#include "tests/trainer/scratch.h"
#include "trainer/data/chat/record.h"
#include "trainer/template/template.h"

namespace llmctl {
namespace {

std::string render(std::string_view source, const jinja::Members& values = {}) {
  const auto parsed = jinja::Template::parse(source, "t");
  if (!parsed.ok()) return "error: " + parsed.error().message;
  const auto text = parsed->render(values);
  return text.ok() ? *text : "error: " + text.error().message;
}

TEST(Jinja, NamesTheLineOfWhatIsWrong) {
  EXPECT_EQ(render("a\n{% if x %}"), "error: t: line 2: expected {% endif %}");
  EXPECT_EQ(render("{{ 1 +"), "error: t: line 1: \"{{\" does not end");
  EXPECT_EQ(render("\n\n{{ 'a' + 1 }}"),
            "error: t: line 3: \"+\" is not for a text and an integer");
  EXPECT_EQ(render("{% macro x() %}{% endmacro %}"),
            "error: t: line 1: \"macro\" is not supported here");
  EXPECT_EQ(render("{{ x.y.z }}"), "error: t: line 1: \"y\" of an undefined value");
  EXPECT_EQ(render("{{ 'a' | shout }}"), "error: t: line 1: there is no filter shout");
  EXPECT_EQ(render("{{ 1 | tojson(sort_keys=true) }}"),
            "error: t: line 1: tojson has no option sort_keys here");
  EXPECT_EQ(render("{{ raise_exception('no ' ~ 1) }}"),
            "error: t: line 1: the template says: no 1");
}

TEST(Jinja, AnAttributeMayBeAPath) {
  EXPECT_EQ(render("{{ [{'a': {'b': 1}}, {'a': {'b': 2}}] | map(attribute='a.b') | join(',') }}"),
            "1,2");
}

TEST(Jinja, HostileTemplatesEndWithAnError) {
  const std::string loops =
      "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}";
  EXPECT_EQ(render(loops), "error: t: the template takes too many steps");
  const std::string doubling =
      "{% set n = namespace(s='xxxxxxxxxxxxxxxx') %}"
      "{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}";
  EXPECT_TRUE(render(doubling).ends_with("the template takes too many steps"));
  const std::string lists =
      "{% set n = namespace(l=[0]) %}"
      "{% for i in range(90) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l | tojson }}";
  EXPECT_TRUE(render(lists).ends_with("lists and mappings are too deep or too large"));
  EXPECT_TRUE(render("{{ " + std::string(5000, '(') + "1" + std::string(5000, ')') + "}}")
                  .ends_with("nested too deeply"));
  EXPECT_TRUE(render("{{ " + std::string(5000, '-') + "1 }}").ends_with("too many signs"));
  std::string sum = "{{ 1", blocks, attributes = "{{ x";
  for (int i = 0; i < 5000; ++i) sum += " + 1";
  for (int i = 0; i < 5000; ++i) attributes += ".x";
  for (int i = 0; i < 5000; ++i) blocks += "{% if 1 %}";
  EXPECT_TRUE(render(sum + " }}").ends_with("the expression is too deep"));
  EXPECT_TRUE(render(attributes + " }}").ends_with("the expression is too deep"));
  EXPECT_TRUE(render(blocks).ends_with("blocks are nested too deeply"));
  EXPECT_TRUE(render("{% set n = namespace() %}{% set n.n = n %}").find("too deep") !=
              std::string::npos);
}

TEST(Jinja, RendersAsPyPiJinja2) {
  const std::string python = python_with("jinja2");
  if (python.empty()) GTEST_SKIP() << "no Python with jinja2: set LLMCTL_PYTHON";
  const Scratch scratch;
  const std::string out = scratch.path() / "cases.jsonl";
  ASSERT_EQ(
      std::system(
          (python + " '" LLMCTL_SOURCE_DIR "/tests/trainer/template/reference_templates.py' " + out)
              .c_str()),
      0);
  std::ifstream lines(out);
  int compared = 0, refused = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto golden = nlohmann::ordered_json::parse(line);  // tojson keeps the order
    const std::string source = golden["template"];
    const auto values = read_json_value(golden["values"].dump());
    ASSERT_TRUE(values.ok());
    const auto parsed = jinja::Template::parse(source, "t");
    ASSERT_TRUE(parsed.ok()) << source << "\n" << parsed.error().message;
    const auto text = parsed->render(values->members());
    if (golden["text"].is_null()) {
      EXPECT_FALSE(text.ok()) << source << "\n" << *text;
      ++refused;
    } else {
      ASSERT_TRUE(text.ok()) << source << "\n" << text.error().message;
      EXPECT_EQ(*text, golden["text"].get<std::string>()) << source;
    }
    ++compared;
  }
  EXPECT_GT(compared, 150);
  EXPECT_GT(refused, 3);
}

}  // namespace
}  // namespace llmctl
