// A test that asks a script beside it about model directories or files: requests go in a JSON list,
// answers come back in one, because starting Python costs seconds. Skipped, saying so, where no
// Python has the packages.
#pragma once

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/trainer/python.h"
#include "tests/trainer/scratch.h"
#include "trainer/commands/convert.h"
#include "trainer/tokenizer/tokenizer.h"

namespace llmctl {

class PythonTest : public ::testing::Test {
 protected:
  explicit PythonTest(std::string packages) : packages_(std::move(packages)) {}
  void SetUp() override {
    python_ = python_with(packages_);
    if (python_.empty()) GTEST_SKIP() << "no Python with " << packages_ << ": set LLMCTL_PYTHON";
  }
  std::filesystem::path path(const std::string& name) const { return scratch_.path() / name; }

  // The answers of a script of tests/trainer to a list of requests.
  nlohmann::json ask(const std::string& script, const nlohmann::json& requests) const {
    write_file(path("requests.json"), requests.dump());
    const ProgramOutput answer =
        run_program(python_ + " '" LLMCTL_SOURCE_DIR "/tests/trainer/stored/" + script + "' " +
                    path("requests.json").string() + " 2>" + path("python.log").string());
    EXPECT_EQ(answer.code, 0) << read_file(path("python.log"));
    return nlohmann::json::parse(answer.out, nullptr, false);
  }

  // A directory that Transformers saved for each kind, with the bytes as tokenizer.
  void make_models(const std::vector<std::string>& kinds) const {
    nlohmann::json requests = nlohmann::json::array();
    for (const std::string& kind : kinds) requests.push_back({"make", kind, path(kind)});
    ask("reference_directories.py", requests);
    for (const std::string& kind : kinds) {
      EXPECT_TRUE(Tokenizer::bytes().save(path(kind) / "tokenizer.json").ok());
    }
  }
  static int convert(const std::vector<std::string>& arguments) {
    std::ostringstream out;
    return convert_command(arguments, out);
  }

 private:
  std::string packages_, python_;
  Scratch scratch_;
};

// Of those in reference_directories.py: one for each form that files take.
inline const std::vector<std::string> kModelKinds = {"llama",  "llama_tied", "llama3", "qwen2",
                                                     "qwen3",  "gpt2",       "phi3",   "phi3_long",
                                                     "gemma2", "gemma3"};

}  // namespace llmctl
