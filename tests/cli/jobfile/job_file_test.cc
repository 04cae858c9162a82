// Whole job files: the examples, overrides, paths, and the round trip to canonical JSON.
#include "cli/jobfile/job_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "cli/jobfile/job_yaml.h"
#include "core/plan/plan_search.h"
#include "tests/processes/test_folder.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;

const char* const kSmall = "model: llama-1m\ndatasets: a.txt\nmax_steps: 10\nval_set_size: 0.1\n";

// A folder with a.txt and job.yaml, removed at the end.
class JobFile : public ::testing::Test {
 protected:
  JobFile() { write("a.txt", "some text\n"); }

  void write(const std::string& name, const std::string& text) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  LoadedJob load(const std::string& text, const std::vector<std::string>& overrides = {}) {
    write("job.yaml", text);
    return load_job((folder_ / "job.yaml").string(), overrides).value();
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  const testing::TestFolder test_folder_{"job-file"};
  const fs::path folder_ = test_folder_.path();
};

TEST(Examples, EveryOneIsAcceptedWithoutAWarning) {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(LLMCTL_SOURCE_DIR) / "examples")) {
    if (entry.path().extension() != ".yaml") continue;
    const Result<LoadedJob> job = load_job(entry.path().string(), {});
    ASSERT_TRUE(job.ok()) << entry.path();
    EXPECT_EQ(job->text(), "") << entry.path();
    EXPECT_FALSE(candidate_plans(job->spec, {}).empty());
    ++count;
  }
  EXPECT_GE(count, 4);
}

TEST_F(JobFile, TakesItsNameFromTheFileUnlessItHasOne) {
  EXPECT_EQ(load(kSmall).spec.name, "job");
  EXPECT_EQ(load(std::string("name: mine\n") + kSmall).spec.name, "mine");
}

TEST_F(JobFile, PathsStartFromTheFilesFolder) {
  EXPECT_EQ(load(kSmall).spec.datasets.at(0).path, path("a.txt"));
}

TEST_F(JobFile, JsonIsRead) {
  const LoadedJob job = load(R"({"model":"llama-1m","datasets":["a.txt"],"max_tokens":1e6})");
  EXPECT_TRUE(job.ok()) << job.text();
  EXPECT_EQ(job.spec.max_tokens, 1'000'000);
}

TEST_F(JobFile, AliasesOfOtherToolsMeanTheSame) {
  const LoadedJob ours = load(
      "model: llama-1m\ndatasets: a.txt\nnum_epochs: 2\nsequence_len: 64\nmicro_batch_size: 2\n"
      "global_batch_size: 8\nlearning_rate: 1e-4\n");
  const LoadedJob theirs = load(
      "model_name_or_path: llama-1m\ndataset: a.txt\nnum_train_epochs: 2\ncutoff_len: 64\n"
      "per_device_train_batch_size: 2\ngradient_accumulation_steps: 4\nlr: 0.0001\n");
  EXPECT_EQ(theirs.text(), ours.text());
  EXPECT_EQ(theirs.spec, ours.spec);
}

TEST_F(JobFile, OriginTellsGivenFromDefault) {
  const LoadedJob job = load(std::string(kSmall) + "lr: 1e-4\n");
  EXPECT_EQ(job.origin.at("learning_rate"), "given");
  EXPECT_EQ(job.origin.at("weight_decay"), "default");
  EXPECT_EQ(job.origin.at("name"), "default");
}

TEST_F(JobFile, OriginOfAModelsFieldsTellsPresetFromFile) {
  const LoadedJob preset = load(kSmall, {"model.hidden_size=256"});
  EXPECT_EQ(preset.origin.at("model.preset"), "given");
  EXPECT_EQ(preset.origin.at("model.hidden_size"), "given");
  EXPECT_EQ(preset.origin.at("model.num_hidden_layers"), "preset");
  const LoadedJob inlined = load(
      "model: {hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4}\n"
      "datasets: a.txt\nmax_steps: 1\n");
  EXPECT_EQ(inlined.origin.at("model.hidden_size"), "given");
  EXPECT_EQ(inlined.origin.at("model.rope_theta"), "default");
}

TEST_F(JobFile, OverridesWinWhateverNameTheFileUsed) {
  const LoadedJob job = load(std::string(kSmall) + "lr: 1e-4\n",
                             {"learning_rate=5e-4", "resources.gpus=2", "model.num_hidden_layers=2",
                              "tokenizer.train.vocab_size=512", "labels.team=red"});
  EXPECT_EQ(job.text(), "");
  EXPECT_EQ(job.spec.learning_rate, 5e-4);
  EXPECT_EQ(job.spec.resources.ranks, 2);
  EXPECT_EQ(job.spec.model.preset, "llama-1m");
  EXPECT_EQ(job.spec.model.config.num_hidden_layers, 2);
  EXPECT_EQ(job.spec.model.config.vocab_size, 512);
  EXPECT_EQ(job.spec.labels.at("team"), "red");
}

TEST_F(JobFile, MalformedOverridesAreRefused) {
  write("job.yaml", kSmall);
  for (const char* text : {"", "=1", "lr", "a..b=1", ".lr=1", "lr=[1", "lr=\xff"}) {
    EXPECT_FALSE(load_job(path("job.yaml"), {text}).ok()) << text;
  }
  EXPECT_FALSE(load(kSmall, {"learning_rate=fast"}).ok());
  EXPECT_FALSE(load(kSmall, {"learning_rat=1"}).ok());
}

TEST_F(JobFile, ModelDirectoryGivesTheShape) {
  ModelConfig config = resolved(presets().front().config, 300, 256);
  ModelConfig lists = config;  // a field of it is a list
  set_family(lists, "phi3");
  const auto pairs = static_cast<size_t>(lists.head_dim / 2);
  lists.rope = {.type = "longrope",
                .factor = 4,
                .original_positions = 64,
                .short_factor = std::vector<double>(pairs, 1),
                .long_factor = std::vector<double>(pairs, 1.5)};
  for (const ModelConfig& wanted : {config, lists}) {
    write("model/config.json", to_hf_config(wanted)->dump());
    const LoadedJob job =
        load("model: ./model\ndatasets: a.txt\nmax_steps: 10\nval_set_size: 0.1\n");
    EXPECT_EQ(job.text(), "");
    EXPECT_EQ(job.spec.model.path, path("model"));
    EXPECT_EQ(job.spec.model.config, wanted);
    EXPECT_EQ(parse_spec_json(spec_text(job.spec)).value(), job.spec);
  }
}

TEST_F(JobFile, ModelDirectoryGivesItsTokenizerUnlessTheJobNamesOne) {
  write("model/config.json", to_hf_config(resolved(presets().front().config, 300, 256))->dump());
  write("model/tokenizer.json", R"({"model": {"vocab": {"a": 0, "b": 299}}})");
  const std::string job = "model: ./model\ndatasets: a.txt\nmax_steps: 10\nval_set_size: 0.1\n";
  const LoadedJob given = load(job);
  EXPECT_EQ(given.text(), "");
  EXPECT_EQ(given.spec.tokenizer.path, path("model/tokenizer.json"));
  EXPECT_EQ(given.spec.tokenizer.vocab_size, 300);
  EXPECT_EQ(load(job + "tokenizer: bytes\n").spec.tokenizer.path, "");
}

TEST_F(JobFile, ADatasetIsAFileOrADirectory) {
  const auto says = [&](const std::string& dataset) {
    return load("model: llama-1m\ndatasets: " + dataset + "\nmax_steps: 1\n").text();
  };
  ASSERT_EQ(mkfifo(path("pipe.txt").c_str(), 0600), 0);
  std::filesystem::create_symlink("loop.txt", path("loop.txt"));
  EXPECT_NE(says("/dev/zero").find("/dev/zero is neither a file nor a directory"),
            std::string::npos);
  EXPECT_NE(says("pipe.txt").find("is neither a file nor a directory"), std::string::npos);
  EXPECT_NE(says("loop.txt").find("oo many levels of symbolic links"), std::string::npos);
  EXPECT_FALSE(says("'p*.txt'").empty()) << "the trainer would refuse the pipe";
}

TEST_F(JobFile, NobodyWaitsForAPipeThatNobodyWritesTo) {
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  const Result<LoadedJob> job = load_job(path("pipe"), {});
  ASSERT_FALSE(job.ok());
  EXPECT_NE(job.error().message.find("nobody writes to it"), std::string::npos);
  EXPECT_FALSE(load_job("/dev/zero", {}).ok());
  std::filesystem::create_directories(path("model"));
  ASSERT_EQ(mkfifo(path("model/config.json").c_str(), 0600), 0);
  EXPECT_NE(load("model: ./model\ndatasets: a.txt\nmax_steps: 1\n").text().find("pipe"),
            std::string::npos);
  const LoadedJob tokenizer =
      load("model: llama-1m\ndatasets: a.txt\nmax_steps: 1\ntokenizer: {path: ./pipe}\n");
  EXPECT_NE(tokenizer.text().find("pipe"), std::string::npos);
}

TEST_F(JobFile, WhatAModelDirectorySaysIsNotGiven) {
  write("model/config.json", to_hf_config(resolved(presets().front().config, 300, 256))->dump());
  write("model/tokenizer.json", R"({"model": {"vocab": {"a": 0, "b": 299}}})");
  const std::string rest = "datasets: a.txt\nmax_steps: 10\nval_set_size: 0.1\n";
  const LoadedJob whole = load("model: ./model\n" + rest);
  EXPECT_EQ(whole.origin.at("model.path"), "given");
  EXPECT_EQ(whole.origin.at("model.hidden_size"), "config");
  EXPECT_EQ(whole.origin.at("model.rope_theta"), "config");
  EXPECT_EQ(whole.origin.at("tokenizer"), "config");
  const LoadedJob changed = load("model: {path: ./model, rope_theta: 20000}\n" + rest);
  EXPECT_EQ(changed.origin.at("model.rope_theta"), "given");
  EXPECT_EQ(changed.origin.at("model.hidden_size"), "config");
}

TEST_F(JobFile, ACheckpointIsAModelWithTheTokenizerOfItsJob) {
  JobSpec first = load(kSmall).spec;
  first.model.config.vocab_size = 512;
  const std::string checkpoint = "jobs/7/checkpoints/e2-s10";
  write(checkpoint + "/manifest.json", "{}");
  write(checkpoint + "/state.json", "{\"spec\": " + spec_text(first) + "}");
  write("jobs/7/tokenizer.json", R"({"model": {"vocab": {"a": 0, "b": 400}}})");
  const LoadedJob next =
      load("model: " + checkpoint + "\ndatasets: a.txt\nmax_steps: 10\nval_set_size: 0.1\n");
  EXPECT_EQ(next.text(), "");
  EXPECT_EQ(next.spec.model.path, path(checkpoint));
  EXPECT_EQ(next.spec.model.config, first.model.config);
  EXPECT_EQ(next.spec.tokenizer.path, path("jobs/7/tokenizer.json"));
}

TEST_F(JobFile, TokenizerFileGivesTheVocabularySize) {
  write("t/tokenizer.json",
        R"({"added_tokens": [{"id": 700}], "model": {"vocab": {"a": 0, "b": 650}}})");
  for (const char* tokenizer : {"tokenizer: ./t\n", "tokenizer: {path: t/tokenizer.json}\n"}) {
    const LoadedJob job = load(std::string(kSmall) + tokenizer);
    EXPECT_EQ(job.text(), "");
    EXPECT_EQ(job.spec.tokenizer.path, path("t/tokenizer.json"));
    EXPECT_EQ(job.spec.model.config.vocab_size, 701);
  }
}

TEST_F(JobFile, MissingFilesAndDirectoriesAreNoJobs) {
  EXPECT_EQ(load_job(path("nowhere.yaml"), {}).error().code, Code::not_found);
  EXPECT_EQ(load_job(folder_.string(), {}).error().code, Code::invalid_argument);
}

TEST(Yaml, AliasesAreExpandedAndQuotesRemembered) {
  const YamlDocument document = parse_yaml("a: &x [1, \"2\"]\nb: *x\n");
  ASSERT_TRUE(document.diagnostics.empty());
  const Node& list = document.root.entries.at(1).value;
  EXPECT_EQ(list.line, 2);
  EXPECT_FALSE(list.items.at(0).quoted);
  EXPECT_TRUE(list.items.at(1).quoted);
}

// Random valid specs: what a job says survives its canonical JSON.
JobSpec random_spec(std::mt19937& random) {
  const auto pick = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  const auto real = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  const auto coin = [&] { return pick(0, 1) == 1; };
  std::string text = "model: {preset: llama-5m, num_hidden_layers: " + std::to_string(pick(1, 9)) +
                     "}\ndatasets: [a, {path: \"b #\\n\", type: jsonl, field: t}]\n";
  const int64_t micro = pick(1, 8), ranks = pick(1, 4);
  text += "resources: {ranks: " + std::to_string(ranks) + "}\n";
  text += "global_batch_size: " + std::to_string(micro * ranks * pick(1, 5)) + "\n";
  text += "micro_batch_size: " + (coin() ? std::to_string(micro) : "auto") + "\n";
  text += "learning_rate: " + std::to_string(real(1e-5, 1e-2)) + "\n";
  text += "num_epochs: " + std::to_string(real(0.1, 9)) + "\n";
  if (coin()) text += "max_duration: " + std::to_string(pick(1, 99)) + "h7ms\n";
  if (coin()) text += "warmup_ratio: " + std::to_string(real(0, 1)) + "\n";
  if (coin())
    text += "gradient_checkpointing: " + std::string(coin() ? "selective" : "false") + "\n";
  if (coin())
    text += "tokenizer: {train: {vocab_size: " + std::to_string(pick(257, 9'000)) + "}}\n";
  if (coin()) text += "labels: {\"a b\": \"yes\", c: \"010\"}\nenv: {JOB_N: \"1\"}\n";
  if (coin()) text += "sample_prompt: \"\\u00e9\\t\\\"quoted\\\"\"\n";
  const ParsedJob job = parse_job(parse_yaml(text).root);
  EXPECT_TRUE(job.ok()) << text << to_string(job.diagnostics.front(), "");
  return job.spec;
}

TEST(RoundTrip, CanonicalJsonKeepsEverySpec) {
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) {
    const JobSpec spec = random_spec(random);
    const Result<JobSpec> again = parse_spec_json(spec_text(spec));
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_EQ(*again, spec) << spec_text(spec);
  }
}

}  // namespace
}  // namespace llmctl
