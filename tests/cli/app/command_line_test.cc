// The command line as a program: help, mistakes, completion, exit codes without a scheduler.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/app/command_line.h"
#include "cli/cluster/home.h"
#include "cli/verbs/cluster/doctor.h"
#include "cli/verbs/verbs.h"
#include "core/base/version.h"
#include "tests/cli/answer.h"
#include "tests/processes/test_folder.h"

namespace llmctl {

using nlohmann::json;

class CommandLineTest : public ::testing::Test {
 protected:
  CommandLineTest() {
    env_.home = folder_.path();
    env_.bin_dir = LLMCTL_BIN_DIR;
  }

  Answer run(const std::vector<std::string>& arguments) const {
    return run_llmctl(env_, arguments);
  }

  const testing::TestFolder folder_{"cli"};
  Environment env_;
};

TEST_F(CommandLineTest, EveryVerbsHelpOpensWithAnExampleOfItself) {
  for (const Verb* verb : verbs()) {
    const Answer help = run({verb->name, "--help"});
    EXPECT_EQ(help.code, 0) << verb->name;
    const size_t examples = help.out.find("Examples:");
    const size_t itself = help.out.find(std::string("llmctl ") + verb->name);
    const size_t options = help.out.find("--help");
    ASSERT_NE(examples, std::string::npos) << verb->name;
    EXPECT_LT(examples, itself) << verb->name;
    EXPECT_LT(itself, options) << verb->name;
    EXPECT_EQ(run({"help", verb->name}).out, help.out);
  }
}

TEST_F(CommandLineTest, TheOverviewListsEveryVerb) {
  const std::string overview = run({"help"}).out;
  for (const Verb* verb : verbs()) {
    if (*verb->group == '\0') continue;
    EXPECT_NE(overview.find(std::string("\n  ") + verb->name + " "), std::string::npos)
        << verb->name;
  }
  EXPECT_EQ(run({}).out, overview);
  EXPECT_EQ(run({"--help"}).out, overview);
}

TEST_F(CommandLineTest, NoHelpLineIsWiderThanAHundredColumns) {
  for (const Verb* verb : verbs()) {
    std::istringstream lines(run({verb->name, "--help"}).out);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
  }
}

TEST_F(CommandLineTest, AMistypedVerbIsGuessed) {
  const Answer answer = run({"sumbit", "job.yaml"});
  EXPECT_EQ(answer.code, kExitUsage);
  EXPECT_NE(answer.err.find("did you mean \"submit\""), std::string::npos) << answer.err;
  EXPECT_EQ(answer.out, "");
}

TEST_F(CommandLineTest, AMistypedOptionIsGuessed) {
  const Answer answer = run({"submit", "job.yaml", "--wacth"});
  EXPECT_EQ(answer.code, kExitUsage);
  EXPECT_NE(answer.err.find("did you mean \"--watch\""), std::string::npos) << answer.err;
}

TEST_F(CommandLineTest, AMissingArgumentIsAUsageError) {
  EXPECT_EQ(run({"cancel"}).code, kExitUsage);
  EXPECT_EQ(run({"ls", "-o", "xml"}).code, kExitUsage);
  EXPECT_EQ(run({"priority", "1", "101"}).code, kExitUsage);
}

TEST_F(CommandLineTest, WithoutAClusterTheExitCodeIsFiveAndTheHintIsUp) {
  for (const char* verb : {"ls", "status", "workers", "show", "watch", "metrics"}) {
    const Answer answer = run({verb});
    EXPECT_EQ(answer.code, kExitUnreachable) << verb;
    EXPECT_NE(answer.err.find("llmctl up"), std::string::npos) << answer.err;
  }
}

TEST_F(CommandLineTest, AnUnreachableServerIsToldApart) {
  env_.server = "127.0.0.1:1";  // nothing listens there
  const Answer answer = run({"ls"});
  EXPECT_EQ(answer.code, kExitUnreachable);
  EXPECT_NE(answer.err.find("127.0.0.1:1"), std::string::npos);
}

TEST_F(CommandLineTest, ErrorsAreDocumentsInJsonMode) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"ls", "-o", "json"}, {"nonsense", "-o", "json"}, {"cancel", "--output=json"}}) {
    const Answer answer = run(arguments);
    const json document = json::parse(answer.out, nullptr, false);
    ASSERT_TRUE(document.is_object()) << answer.out;
    EXPECT_EQ(document["api_version"], "llmctl/v1");
    EXPECT_TRUE(document["error"]["code"].is_string());
    EXPECT_FALSE(document["error"]["message"].get<std::string>().empty());
    EXPECT_EQ(answer.err, "");
    EXPECT_NE(answer.code, 0);
  }
  env_.output = "json";
  EXPECT_TRUE(json::parse(run({"ls"}).out, nullptr, false).is_object());
}

TEST_F(CommandLineTest, VersionIsTheProjectsVersion) {
  EXPECT_EQ(run({"version"}).out, std::string("llmctl ") + kVersion + "\n");
  EXPECT_EQ(json::parse(run({"version", "-o", "json"}).out)["version"], kVersion);
  std::ifstream file(LLMCTL_SOURCE_DIR "/CMakeLists.txt");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_NE(text.find(std::string("VERSION ") + kVersion), std::string::npos);
}

TEST_F(CommandLineTest, CompletesVerbsOptionsAndValues) {
  EXPECT_EQ(run({"__complete", "--", "sub"}).out, "submit\n");
  EXPECT_EQ(run({"__complete", "--", "submit", "--wa"}).out, "--watch\n");
  EXPECT_EQ(run({"__complete", "--", "ls", "-o", ""}).out, "table\njson\n");
  EXPECT_EQ(run({"__complete", "--", "completion", ""}).out, "bash\nzsh\nfish\n");
  EXPECT_EQ(run({"__complete", "--", "show", ""}).out, "last\n");
  EXPECT_EQ(run({"__complete", "--", "nonsense", ""}).out, "");
  EXPECT_EQ(run({"__complete", "--", ""}).out.find("__complete"), std::string::npos);
}

TEST_F(CommandLineTest, EveryShellsScriptAsksTheHiddenVerb) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    EXPECT_NE(run({"completion", shell}).out.find("llmctl __complete --"), std::string::npos);
  }
  EXPECT_EQ(run({"completion", "tcsh"}).code, kExitUsage);
}

TEST_F(CommandLineTest, SchemaIsAJsonSchema) {
  const json schema = json::parse(run({"schema"}).out, nullptr, false);
  ASSERT_TRUE(schema.is_object());
  EXPECT_TRUE(schema.contains("$schema"));
  EXPECT_TRUE(schema["properties"].contains("learning_rate"));
}

TEST_F(CommandLineTest, ExplainKnowsTheFieldsOfAJobFile) {
  const Answer answer = run({"explain", "learning_rate"});
  EXPECT_EQ(answer.code, 0);
  EXPECT_NE(answer.out.find("learning_rate"), std::string::npos);
}

TEST_F(CommandLineTest, ValidateTellsEveryMistakeAndEndsWithTwo) {
  const std::string path = env_.home + "/bad.yaml";
  std::ofstream(path) << "name: x\nlearnin_rate: 1\nmax_steps: -5\n";
  const Answer answer = run({"validate", path});
  EXPECT_EQ(answer.code, kExitUsage);
  EXPECT_NE(answer.err.find("learnin_rate"), std::string::npos) << answer.err;
  EXPECT_NE(answer.err.find("max_steps"), std::string::npos) << answer.err;
  const json document = json::parse(run({"validate", path, "-o", "json"}).out);
  EXPECT_EQ(document["valid"], false);
  EXPECT_GE(document["diagnostics"].size(), 2u);
  EXPECT_EQ(run({"submit", path}).code, kExitUsage);  // refused before any server is asked
}

TEST_F(CommandLineTest, AMissingJobFileIsNotFound) {
  EXPECT_EQ(run({"validate", env_.home + "/nowhere.yaml"}).code, kExitNotFound);
}

TEST_F(CommandLineTest, DownWithoutAClusterIsFine) {
  EXPECT_EQ(run({"down"}).code, 0);
}

TEST(Doctor, JudgesTheMachine) {
  EXPECT_EQ(judge_free_space("/", 500LL << 30).verdict, Check::Verdict::ok);
  EXPECT_EQ(judge_free_space("/", 5LL << 30).verdict, Check::Verdict::warn);
  EXPECT_EQ(judge_free_space("/", 100).verdict, Check::Verdict::fail);
  EXPECT_EQ(judge_open_files(1024).verdict, Check::Verdict::warn);
  EXPECT_EQ(judge_open_files(1'048'576).verdict, Check::Verdict::ok);
  EXPECT_FALSE(judge_open_files(1024).fix.empty());
}

}  // namespace llmctl
