// Models between llmctl and Transformers, both ways: what we write computes there what it computes
// here, and what Transformers saved scores a text here as it does there. reference_directories.py
// is the other side.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/trainer/sample_model.h"
#include "tests/trainer/stored/python_peer.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/commands/eval.h"
#include "trainer/inference/generate.h"
#include "trainer/model/load_model.h"
#include "trainer/stored/stored_model.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;

// A checkpoint as a run leaves it, of random weights, without optimizer state.
fs::path write_checkpoint(const fs::path& job_dir, Model& model) {
  JobSpec spec;
  spec.name = "sample";
  spec.model.config = model.config();
  spec.datasets.emplace_back().path = "/data/some.txt";
  spec.sequence_len = kSampleLength;
  spec.max_steps = 7;
  spec.tokenizer.vocab_size = kByteVocabSize;
  CheckpointContent content;
  content.step = 7;
  content.state = {{"step", 7}, {"tokens", 999}, {"loss", 1.25}, {"spec", to_json(spec)}};
  CheckpointShard shard = {"rank-0", {}};
  for (const ParameterSlot& slot : model.layout().slots()) {
    const at::Tensor view = view_of(model.weights(), slot);
    shard.tensors.push_back(
        {slot.name,
         DType::f32,
         slot.shape,
         {static_cast<const std::byte*>(view.const_data_ptr()), view.nbytes()}});
  }
  content.shards.push_back(std::move(shard));
  const auto saved = save_checkpoint(job_dir / "checkpoints", content, {});
  EXPECT_TRUE(saved.ok()) << saved.error().message;
  return job_dir / "checkpoints" / saved->name;
}

Model random_model(bool tied) {
  ModelConfig config = sample_config();
  config.vocab_size = kByteVocabSize;
  config.tie_word_embeddings = tied;
  Model model(config, {.sequence_len = kSampleLength});
  initialize(model.layout(), 0.2, 3, model.writable_weights());
  return model;
}

std::vector<int32_t> some_ids(int64_t count) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>(i * 7919 % 256));
  return ids;
}

class HfModels : public PythonTest {
 protected:
  HfModels() : PythonTest("torch, transformers") {}
  nlohmann::json ask(const nlohmann::json& requests) const {
    return PythonTest::ask("reference_directories.py", requests);
  }
};

TEST_F(HfModels, TransformersComputesTheLogitsOfAnExport) {
  const std::vector<int32_t> ids = some_ids(kSampleLength);
  write_file(path("ids.json"), nlohmann::json(ids).dump());
  std::vector<Model> models;
  nlohmann::json requests = nlohmann::json::array();
  for (const bool tied : {true, false}) {
    const std::string to = path(tied ? "tied" : "untied");
    models.push_back(random_model(tied));
    const fs::path checkpoint = write_checkpoint(path(to + "-job"), models.back());
    ASSERT_EQ(convert({checkpoint, to, "--max-shard-size", "200KB"}), 0);
    EXPECT_TRUE(fs::exists(to + "/model.safetensors.index.json"));
    requests.push_back({"logits", to, path("ids.json")});
  }
  const nlohmann::json answers = ask(requests);
  ASSERT_EQ(answers.size(), models.size());
  for (size_t m = 0; m < models.size(); ++m) {
    ASSERT_EQ(answers[m].size(), ids.size());
    Decoder decoder(models[m]);
    for (size_t i = 0; i < ids.size(); ++i) {
      const at::Tensor ours = decoder.feed({&ids[i], 1});
      const auto row = answers[m][i].get<std::vector<float>>();
      ASSERT_EQ(static_cast<int64_t>(row.size()), ours.numel());
      EXPECT_LE((ours - at::tensor(row)).abs().max().item<double>(), 1e-4) << "position " << i;
    }
  }
}

TEST_F(HfModels, TransformersReadsTheTokenizerOfAnExport) {
  Model model = random_model(true);
  const std::string to = path("out");
  ASSERT_EQ(convert({write_checkpoint(path("job"), model), to}), 0);
  const std::string text = "To be, or not\n\tto be: naïve 中文 123!";
  write_file(path("text.txt"), text);
  EXPECT_EQ(ask({{"encode", to, path("text.txt")}})[0],
            nlohmann::json(*Tokenizer::bytes().encode(text)));
}

TEST_F(HfModels, EvalGivesTransformersLossOfItsOwnModels) {
  std::string text;
  for (const int32_t id : some_ids(1'000)) text += static_cast<char>(id);
  write_file(path("text.bin"), text);
  write_file(path("ids.json"), nlohmann::json(*Tokenizer::bytes().encode(text)).dump());
  make_models(kModelKinds);
  const std::pair<int, int> windows[] = {{100, 100}, {64, 10}};
  nlohmann::json requests = nlohmann::json::array();
  for (const std::string& kind : kModelKinds) {
    for (const auto& [length, stride] : windows) {
      requests.push_back({"loss", path(kind), path("ids.json"), length, stride});
    }
  }
  const nlohmann::json answers = ask(requests);
  for (size_t i = 0; i < answers.size(); ++i) {
    const double theirs = answers[i];
    std::ostringstream out;
    ASSERT_EQ(eval_command({requests[i][1], "--text", path("text.bin"), "--json", "--sequence-len",
                            requests[i][3].dump(), "--stride", requests[i][4].dump()},
                           out),
              0);
    const auto ours = nlohmann::json::parse(out.str());
    EXPECT_EQ(ours["tokens"], 999);
    EXPECT_NEAR(ours["loss"], theirs, 1e-5 * theirs) << requests[i];
    EXPECT_NEAR(ours["perplexity"], std::exp(theirs), 1e-4 * std::exp(theirs));
    EXPECT_NEAR(ours["bits_per_byte"], theirs * 999 / std::log(2) / 1'000, 1e-4);
  }
}

TEST_F(HfModels, AModelSurvivesTheWayThereAndBackBitForBit) {
  make_models({"llama"});
  const fs::path model = path("llama");
  ASSERT_EQ(convert({model, path("again")}), 0);
  const auto before = open_stored_model(model), after = open_stored_model(path("again"));
  ASSERT_TRUE(before.ok() && after.ok());
  ASSERT_EQ(before->config, after->config);
  const ParameterLayout layout(before->config);
  at::Tensor a = at::empty({layout.size()}), b = at::empty({layout.size()});
  ASSERT_TRUE(load_weights(*before, layout, a).ok());
  ASSERT_TRUE(load_weights(*after, layout, b).ok());
  EXPECT_TRUE(a.equal(b));
}

TEST_F(HfModels, SixteenBitWeightsAreThoseThatTransformersRounds) {
  make_models({"llama"});
  const fs::path model = path("llama");
  const auto source = open_stored_model(model);
  ASSERT_TRUE(source.ok());
  const ParameterLayout layout(source->config);
  at::Tensor exact = at::empty({layout.size()}), read = at::empty({layout.size()});
  ASSERT_TRUE(load_weights(*source, layout, exact).ok());
  for (const auto& [name, dtype] : {std::pair{"bf16", at::kBFloat16}, {"fp16", at::kHalf}}) {
    ASSERT_EQ(convert({model, path(name), "--dtype", name}), 0);
    const auto rounded = open_stored_model(path(name));
    ASSERT_TRUE(rounded.ok());
    ASSERT_TRUE(load_weights(*rounded, layout, read).ok());
    EXPECT_TRUE(read.equal(exact.to(dtype).to(at::kFloat))) << name;
  }
}

TEST_F(HfModels, WeightsAreReadAsTheyAreStored) {
  Model model = random_model(/*tied=*/true);
  const fs::path checkpoint = write_checkpoint(path("job"), model);
  for (const auto& [name, type] :
       {std::pair{"bf16", at::kBFloat16}, {"fp16", at::kHalf}, {"fp32", at::kFloat}}) {
    for (const std::string& file : {std::string(name), std::string(name) + ".gguf"}) {
      SCOPED_TRACE(file);
      ASSERT_EQ(convert({checkpoint, path(file), "--dtype", name}), 0);
      const auto stored = open_stored_model(path(file));
      ASSERT_TRUE(stored.ok());
      const auto reader = load_reader(*stored, Tokenizer::bytes(), kSampleLength, at::kCPU);
      ASSERT_TRUE(reader.ok()) << reader.error().message;
      for (const ParameterSlot& slot : model.layout().slots()) {
        const at::Tensor got = view_of(reader->weights(), slot);
        EXPECT_EQ(got.scalar_type(), slot.shape.size() == 1 ? at::kFloat : type) << slot.name;
        EXPECT_TRUE(got.equal(view_of(model.weights(), slot).to(type).to(got.scalar_type())) ||
                    slot.shape.size() == 1);
      }
    }
  }
}

}  // namespace
}  // namespace llmctl
