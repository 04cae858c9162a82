#include "trainer/commands/data.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "core/job/job_spec.h"
#include "tests/trainer/scratch.h"

namespace llmctl {
namespace {

TEST(DataCommand, ShowsTheFirstDocumentsAndTheirTokens) {
  const Scratch scratch;
  write_file(scratch.path() / "d.jsonl",
             "{\"text\":\"one\"}\n{\"text\":\"two é\"}\n{\"text\":\"3\"}");
  JobSpec spec;
  spec.name = "preview";
  spec.model.config = presets().front().config;
  spec.max_steps = 1;
  spec.datasets = {{scratch.path() / "d.jsonl", "auto", "text"}};
  const std::string file = scratch.path() / "spec.json";
  write_file(file, spec_text(spec));
  std::ostringstream out;
  ASSERT_EQ(data_command({"preview", file, "--documents", "2", "--json"}, out), 0);
  std::istringstream lines(out.str());
  std::vector<nlohmann::json> shown;
  for (std::string line; std::getline(lines, line);) shown.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(shown.size(), 2u);
  EXPECT_EQ(shown[1]["text"], "two é");
  EXPECT_EQ(shown[1]["tokens"], 6);
}

TEST(DataCommand, ShowsChatsAsTextWithWhatIsLearned) {
  const Scratch scratch;
  write_file(scratch.path() / "d.jsonl", R"({"messages":[{"role":"user","content":"Hi"},)"
                                         R"({"role":"assistant","content":"\u001b[2JYes"}]})");
  JobSpec spec;
  spec.name = "preview";
  spec.method = "sft";
  spec.chat_template = "phi";
  spec.model.config = presets().front().config;
  spec.max_steps = 1;
  spec.datasets = {{scratch.path() / "d.jsonl"}};
  const std::string file = scratch.path() / "spec.json";
  write_file(file, spec_text(spec));
  std::ostringstream text, json;
  ASSERT_EQ(data_command({"preview", file}, text), 0);
  EXPECT_EQ(text.str(),
            "1 file, tokens of bytes; what is learned stands in ⟦ ⟧:\n"
            "d.jsonl:1  48 tokens, 15 learned\n"
            "<|user|>\nHi<|end|>\n<|assistant|>\n⟦?[2JYes<|end|>\n⟧\n\n");
  ASSERT_EQ(data_command({"preview", file, "--json"}, json), 0);
  const auto shown = nlohmann::json::parse(json.str());
  EXPECT_EQ(shown["learned_tokens"], 15);
  EXPECT_EQ(shown["parts"][1]["text"], "\x1b[2JYes<|end|>\n");
  EXPECT_EQ(shown["parts"][1]["learned"], true);
}

TEST(DataCommand, RefusesWhatIsNoSpec) {
  std::ostringstream out;
  EXPECT_EQ(data_command({"preview", "/nowhere"}, out), 2);
  EXPECT_EQ(data_command({}, out), 2);
}

}  // namespace
}  // namespace llmctl
