// docs/JOB_FILE.md and docs/STATES.md are what the tables say; LLMCTL_UPDATE_GOLDEN=1 rewrites
// them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/job/job_fields.h"
#include "core/job/job_state.h"

namespace llmctl {
namespace {

std::string read(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

void expect_document(const std::string& name, const std::string& expected) {
  const std::string path = std::string(LLMCTL_SOURCE_DIR) + "/docs/" + name;
  if (std::getenv("LLMCTL_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << expected;
  EXPECT_EQ(read(path), expected) << "run with LLMCTL_UPDATE_GOLDEN=1 to rewrite " << path;
}

std::string states_page() {
  std::string page =
      "# The states of a job\n\n<!-- Generated from core/job/job_state.h; a test keeps it current. "
      "-->\n"
      "\nEvery move is one `JobMoved` event with a reason. What is not drawn here is illegal.\n\n"
      "```mermaid\n" +
      states_mermaid() + "```\n\n| reason | meaning |\n|---|---|\n";
  for (int i = 0; i <= static_cast<int>(Reason::not_understood); ++i) {
    const auto reason = static_cast<Reason>(i);
    page += std::string("| `") + to_string(reason) + "` | " + describe(reason) + " |\n";
  }
  return page;
}

TEST(Documents, JobFilePageIsWhatTheFieldTableSays) {
  expect_document("JOB_FILE.md", job_file_markdown());
}

TEST(Documents, StatesPageIsWhatTheTransitionTableSays) {
  expect_document("STATES.md", states_page());
}

TEST(Schema, NamesEveryFieldAndEveryAlias) {
  const nlohmann::json schema = job_file_schema();
  JobDraft draft;
  for (const Field& field : job_fields(draft)) {
    EXPECT_TRUE(schema["properties"].contains(field.name)) << field.name;
    for (std::string_view alias : words(field.aliases)) {
      EXPECT_TRUE(schema["properties"].contains(std::string(alias))) << alias;
    }
  }
}

// Every "$ref" of the schema leads somewhere inside it.
void expect_references(const nlohmann::json& node, const nlohmann::json& root) {
  if (node.is_object() && node.contains("$ref") && node["$ref"].is_string()) {
    const std::string target = node["$ref"].get<std::string>().substr(1);
    EXPECT_TRUE(root.contains(nlohmann::json::json_pointer(target))) << target;
  }
  for (const auto& child : node) {
    if (child.is_structured()) expect_references(child, root);
  }
}

TEST(Schema, ReferencesLeadSomewhere) {
  const nlohmann::json schema = job_file_schema();
  expect_references(schema, schema);
}

TEST(Help, KnowsFieldsByNameAndAliasAndNothingElse) {
  EXPECT_NE(field_help("lr").find("learning_rate: number > 0 (default 0.001)"), std::string::npos);
  EXPECT_NE(field_help("resources.gpus").find("resources.ranks"), std::string::npos);
  EXPECT_EQ(field_help("zebra"), "");
}

}  // namespace
}  // namespace llmctl
