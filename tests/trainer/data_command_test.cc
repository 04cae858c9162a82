#include "trainer/data_command.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "core/job_spec.h"
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
  write_file(file, to_json(spec).dump());
  std::ostringstream out;
  ASSERT_EQ(data_command({"preview", file, "--documents", "2", "--json"}, out), 0);
  std::istringstream lines(out.str());
  std::vector<nlohmann::json> shown;
  for (std::string line; std::getline(lines, line);) shown.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(shown.size(), 2u);
  EXPECT_EQ(shown[1]["text"], "two é");
  EXPECT_EQ(shown[1]["tokens"], 6);
}

TEST(DataCommand, RefusesWhatIsNoSpec) {
  std::ostringstream out;
  EXPECT_EQ(data_command({"preview", "/nowhere"}, out), 2);
  EXPECT_EQ(data_command({}, out), 2);
}

}  // namespace
}  // namespace llmctl
