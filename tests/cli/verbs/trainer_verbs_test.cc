// The verbs that hand over to the trainer program on this machine, as a person runs them: the real
// llmctl, its standard output, its exit code.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/model/model_config.h"
#include "tests/processes/test_folder.h"

namespace llmctl {

namespace fs = std::filesystem;
using nlohmann::json;

struct Ran {
  int code = 0;
  std::string out, err;
};

class TrainerVerbs : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_ / name; }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(path(name), std::ios::binary) << text;
  }
  std::string read(const std::string& name) const {
    std::ifstream in(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // `words` as a shell line, in this test's folder.
  Ran llmctl(const std::string& words) const {
    const std::string line = "cd " + folder_.string() + " && LLMCTL_HOME=" + path("home") +
                             " '" LLMCTL_BIN_DIR "/llmctl' " + words + " > " + path("out") +
                             " 2> " + path("err");
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128, read("out"), read("err")};
  }
  // A directory with a shape, random weights left out.
  void write_config(const std::string& name) const {
    ModelConfig config = presets().front().config;
    config.hidden_size = 32;
    config.num_hidden_layers = 1;
    config = resolved(config, 257, 64);
    write(name + "/config.json", to_hf_config(config)->dump());
  }

  const testing::TestFolder test_folder_{"verbs"};
  const fs::path folder_ = test_folder_.path();
};

TEST_F(TrainerVerbs, ATokenizerIsLearnedAndItsIdsDecodeToTheText) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += "the quick <think> fox, the lazy dog\n";
  write("text.txt", text);
  const Ran trained =
      llmctl("tokenizer train --vocab-size 300 --special '<think>' text.txt -o t.json");
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_NE(trained.err.find("t.json: "), std::string::npos) << trained.err;
  const Ran encoded = llmctl("tokenizer encode --tokenizer t.json --lines -o json < text.txt");
  ASSERT_EQ(encoded.code, 0) << encoded.err;
  EXPECT_EQ(std::count(encoded.out.begin(), encoded.out.end(), '\n'), 50);
  const json first = json::parse(encoded.out.substr(0, encoded.out.find('\n')));
  EXPECT_LT(first.size(), 20u) << "nothing was merged";
  write("ids.jsonl", encoded.out);
  const Ran decoded = llmctl("tokenizer decode --tokenizer t.json --lines < ids.jsonl");
  EXPECT_EQ(decoded.code, 0) << decoded.err;
  EXPECT_EQ(decoded.out, text);
}

TEST_F(TrainerVerbs, BytesNeedNoTokenizerFile) {
  write("a.txt", "hi");
  EXPECT_EQ(llmctl("tokenizer encode --tokenizer bytes a.txt").out, "[104,105]\n");
  write("ids.txt", "[104, 105]");
  EXPECT_EQ(llmctl("tokenizer decode --tokenizer bytes ids.txt").out, "hi");
}

TEST_F(TrainerVerbs, TokenizerMistakesEndWithTwoAndSayWhatIsWrong) {
  write("a.txt", "hi");
  const std::pair<const char*, const char*> mistakes[] = {
      {"tokenizer encode a.txt", "--tokenizer FILE is missing"},
      {"tokenizer train --vocab-size 300 a.txt", "-o FILE is missing"},
      {"tokenizer train --vocab-size 10 a.txt -o t.json", "257"},
      {"tokenizer encode --tokenizer nowhere.json a.txt", "nowhere.json"},
      {"tokenizer decode --tokenizer bytes a.txt", "expected an array of whole numbers"},
      {"tokenizer learn a.txt", "learn"},
  };
  for (const auto& [words, message] : mistakes) {
    const Ran ran = llmctl(words);
    EXPECT_EQ(ran.code, 2) << words;
    EXPECT_NE(ran.err.find(message), std::string::npos) << words << ": " << ran.err;
    EXPECT_EQ(ran.out, "") << words;
  }
}

TEST_F(TrainerVerbs, DataPreviewShowsWhatTheJobWouldRead) {
  write("d.jsonl", "{\"text\":\"one\"}\n{\"text\":\"two é\"}\n{\"text\":\"three\"}\n");
  write("job.yaml", "model: llama-1m\ndatasets: d.jsonl\ntokenizer: bytes\nmax_steps: 1\n");
  const Ran table = llmctl("data preview job.yaml --documents 2");
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_NE(table.out.find("d.jsonl  6 bytes  6 tokens  \"two é\""), std::string::npos)
      << table.out;
  EXPECT_EQ(table.out.find("three"), std::string::npos) << table.out;
  const Ran lines = llmctl("data preview job.yaml -o json");
  const json first = json::parse(lines.out.substr(0, lines.out.find('\n')), nullptr, false);
  EXPECT_EQ(first.value("text", ""), "one") << lines.out;
  EXPECT_EQ(first.value("tokens", 0), 3);
  EXPECT_EQ(std::count(lines.out.begin(), lines.out.end(), '\n'), 3);
}

TEST_F(TrainerVerbs, DataPreviewOfABrokenJobTellsEveryMistake) {
  write("job.yaml", "model: llama-1m\ndatasets: nowhere.txt\nmax_steps: -1\n");
  const Ran ran = llmctl("data preview job.yaml");
  EXPECT_EQ(ran.code, 2);
  EXPECT_NE(ran.err.find("nowhere.txt"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("max_steps"), std::string::npos) << ran.err;
}

TEST_F(TrainerVerbs, AModelWithoutWeightsIsNeitherConvertedNorScored) {
  write_config("shape");
  write("text.txt", "some text");
  for (const char* words : {"convert shape target", "convert shape target.gguf --dtype q4_k",
                            "eval shape --text text.txt", "eval ./shape --text text.txt -o json"}) {
    const Ran ran = llmctl(words);
    EXPECT_EQ(ran.code, 2) << words;
    EXPECT_NE(ran.err.find("shape"), std::string::npos) << words << ": " << ran.err;
    EXPECT_EQ(ran.out, "");
  }
  EXPECT_FALSE(fs::exists(path("target")) || fs::exists(path("target.gguf")));
}

TEST_F(TrainerVerbs, APathThatIsNotThereIsNotFoundAndAJobNeedsACluster) {
  write("text.txt", "some text");
  EXPECT_EQ(llmctl("eval ./nowhere --text text.txt").code, 3);
  EXPECT_EQ(llmctl("export ./nowhere out").code, 3);
  for (const char* words : {"eval last --text text.txt", "export 17 out", "export name out"}) {
    const Ran ran = llmctl(words);
    EXPECT_EQ(ran.code, 5) << words;
    EXPECT_NE(ran.err.find("llmctl up"), std::string::npos) << ran.err;
  }
}

TEST_F(TrainerVerbs, UnknownFormsAreRefusedBeforeAnythingStarts) {
  for (const char* words : {"convert a b --dtype int8", "convert a b --format onnx", "convert a",
                            "eval a", "eval a --text t --stride 0"}) {
    EXPECT_EQ(llmctl(words).code, 2) << words;
  }
}

}  // namespace llmctl
