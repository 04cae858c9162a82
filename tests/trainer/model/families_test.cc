// Every family against Transformers: the logits of its random models in our engine, and of ours in
// its. The models travel as directories with config.json and model.safetensors.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/fields/field_table.h"
#include "tests/trainer/python.h"
#include "tests/trainer/sample_model.h"
#include "tests/trainer/scratch.h"
#include "trainer/formats/hf/names.h"
#include "trainer/formats/safetensors/safetensors.h"
#include "trainer/inference/generate.h"
#include "trainer/optim/adamw.h"
#include "trainer/optim/gradient_norm.h"

namespace llmctl {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kLogitClose = 1e-4;  // of a logit, absolute

at::Tensor tensor_of(const TensorView& view) {
  at::Tensor out = at::empty(view.shape, at::kFloat);
  EXPECT_EQ(view.dtype, DType::f32);
  EXPECT_EQ(out.nbytes(), view.bytes.size());
  std::memcpy(out.mutable_data_ptr(), view.bytes.data(), view.bytes.size());
  return out;
}

at::Tensor read_tensor(const fs::path& file, const char* name) {
  const SafetensorsFile tensors = SafetensorsFile::open(file).value();
  return tensor_of(*tensors.find(name));
}

// The part of a file's tensor that is the slot, as a view with the slot's shape.
at::Tensor part_of(const at::Tensor& whole, const HfPlace& place, const ParameterSlot& slot) {
  const at::Tensor rows = place.transposed ? whole.t() : whole;
  return rows.narrow(0, place.first_row, slot.shape[0]);
}

void load(Model& model, const fs::path& directory) {
  const SafetensorsFile file = SafetensorsFile::open(directory / "model.safetensors").value();
  const std::vector<HfPlace> places = hf_places(model.config());
  std::set<std::string> read;
  for (size_t i = 0; i < places.size(); ++i) {
    const ParameterSlot& slot = model.layout().slots()[i];
    const TensorView* view = file.find(places[i].name);
    ASSERT_NE(view, nullptr) << places[i].name;
    ASSERT_EQ(view->shape, places[i].shape) << places[i].name;
    view_of(model.writable_weights(), slot).copy_(part_of(tensor_of(*view), places[i], slot));
    read.insert(places[i].name);
  }
  EXPECT_EQ(read.size(), file.tensors().size()) << "a tensor of the file was not read";
}

void save(Model& model, const fs::path& directory) {
  const std::vector<HfPlace> places = hf_places(model.config());
  std::map<std::string, at::Tensor> tensors;
  for (size_t i = 0; i < places.size(); ++i) {
    const ParameterSlot& slot = model.layout().slots()[i];
    at::Tensor& whole = tensors[places[i].name];
    if (!whole.defined()) whole = at::empty(places[i].shape);
    part_of(whole, places[i], slot).copy_(view_of(model.weights(), slot));
  }
  std::vector<TensorView> views;
  for (const auto& [name, t] : tensors) {
    views.push_back({name,
                     DType::f32,
                     t.sizes().vec(),
                     {static_cast<const std::byte*>(t.const_data_ptr()), t.nbytes()}});
  }
  write_file(directory / "config.json", to_hf_config(model.config())->dump());
  ASSERT_TRUE(write_safetensors(directory / "model.safetensors", views, {{"format", "pt"}}).ok());
}

at::Tensor logits_of(const Model& model, const std::vector<int32_t>& ids) {
  Decoder decoder(model);
  std::vector<at::Tensor> rows;
  for (const int32_t id : ids) rows.push_back(decoder.feed({&id, 1}));
  return at::stack(rows);
}

// The decoder's logits, and the loss of the training pass, for the same tokens.
void expect_equal(Model& model, const fs::path& directory) {
  const auto ids = json::parse(read_file(directory / "ids.json")).get<std::vector<int32_t>>();
  const at::Tensor want = read_tensor(directory / "logits.safetensors", "logits");
  const at::Tensor got = logits_of(model, ids);
  EXPECT_LE((got - want).abs().max().item<double>(), kLogitClose);
  EXPECT_GT(want.abs().max().item<double>(), 0.1) << "all logits are small";
  const auto length = static_cast<int64_t>(ids.size());
  at::Tensor tokens = at::empty({length}, at::kInt);
  std::copy(ids.begin(), ids.end(), tokens.mutable_data_ptr<int32_t>());
  const double loss = model.forward({tokens, tokens}).item<double>();
  const double reference =
      at::cross_entropy_loss(want, tokens.to(at::kLong), {}, at::Reduction::Sum).item<double>();
  EXPECT_NEAR(loss, reference, 1e-5 * reference);
}

std::string script(const std::string& python, const char* verb, const fs::path& root) {
  return python + " '" LLMCTL_SOURCE_DIR "/tests/trainer/model/reference_models.py' " + verb + " " +
         root.string() + " 2>" + (root.string() + ".log");
}

TEST(Families, LogitsOfTheirRandomModelsEqualTransformers) {
  const std::string python = python_with("torch, transformers");
  if (python.empty()) GTEST_SKIP() << "no Python with transformers: set LLMCTL_PYTHON";
  const Scratch scratch;
  const fs::path root = scratch.path() / "theirs";
  fs::create_directory(root);
  ASSERT_EQ(run_program(script(python, "make", root)).code, 0) << read_file(root.string() + ".log");
  std::set<std::string> families;
  for (const auto& directory : fs::directory_iterator(root)) {
    SCOPED_TRACE(directory.path().filename().string());
    const json document = json::parse(read_file(directory.path() / "config.json"));
    const Result<ModelConfig> config = parse_hf_config(document);
    ASSERT_TRUE(config.ok()) << config.error().message;
    families.insert(config->architecture);
    Model model(*config, {.sequence_len = kSampleLength});
    load(model, directory.path());
    expect_equal(model, directory.path());
  }
  EXPECT_EQ(families.size(), words(architectures()).size());
}

ModelConfig sample_of(std::string_view family) {
  ModelConfig config = sample_config();
  config.head_dim = family == "qwen2" ? kOddHead : 16;
  config.tie_word_embeddings = family == "gpt2" || family == "gemma2";
  if (family == "gpt2") config.num_key_value_heads = config.num_attention_heads;
  set_family(config, family);
  if (config.sliding_window > 0) config.sliding_window = 9;
  if (family == "llama") {
    config.rope = {.type = "llama3", .factor = 4, .original_positions = 8};
  }
  return config;
}

// What families may have besides, under names of their own.
std::map<std::string, ModelConfig> variants() {
  ModelConfig phi3 = sample_of("phi3"), yarn = sample_of("llama"), gpt2 = sample_of("gpt2");
  phi3.partial_rotary_factor = 0.5;
  phi3.rope = {.type = "longrope",
               .factor = static_cast<double>(phi3.max_position_embeddings) / 8,
               .original_positions = 8,
               .short_factor = {1, 1, 2, 2},
               .long_factor = {1, 2, 3, 4}};
  yarn.activation = "gelu";
  yarn.rope = {.type = "yarn",
               .factor = 4,
               .original_positions = 8,
               .beta_fast = 8,
               .truncate = false,
               .attention_factor = 1.25};
  gpt2.activation = "gelu";
  return {{"phi3_longrope", phi3}, {"llama_yarn_gelu", yarn}, {"gpt2_gelu", gpt2}};
}

// One model of every family with made-up weights, each also a directory under `root`.
std::map<std::string, std::unique_ptr<Model>> our_models(const fs::path& root, double range) {
  std::map<std::string, std::unique_ptr<Model>> models;
  std::map<std::string, ModelConfig> configs = variants();
  for (const std::string_view family : words(architectures())) {
    configs[std::string(family)] = sample_of(family);
  }
  for (const auto& [name, config] : configs) {
    auto& model = models[name] =
        std::make_unique<Model>(config, ModelOptions{.sequence_len = kSampleLength});
    initialize(model->layout(), range, 5, model->writable_weights());
    model->writable_weights().flat().add_(at::full({1}, 0.01));
    save(*model, root / name);
  }
  return models;
}

std::vector<int32_t> ids_of(const at::Tensor& ids) {
  const auto* data = ids.const_data_ptr<int32_t>();
  return {data, data + ids.numel()};
}

TEST(Families, LogitsOfOurRandomModelsEqualInTransformers) {
  const std::string python = python_with("torch, transformers");
  if (python.empty()) GTEST_SKIP() << "no Python with transformers: set LLMCTL_PYTHON";
  const Scratch scratch;
  const fs::path root = scratch.path() / "ours";
  const auto models = our_models(root, 0.2);
  const json ids = ids_of(sample_batch(1, 8).ids);
  for (const auto& [family, model] : models) write_file(root / family / "ids.json", ids.dump());
  ASSERT_EQ(run_program(script(python, "read", root)).code, 0) << read_file(root.string() + ".log");
  for (const auto& [family, model] : models) {
    SCOPED_TRACE(family);
    expect_equal(*model, root / family);
  }
}

TEST(Families, FirstLossesOfTheirTrainingEqualPyTorchs) {
  const std::string python = python_with("torch, transformers");
  if (python.empty()) GTEST_SKIP() << "no Python with transformers: set LLMCTL_PYTHON";
  constexpr int kSteps = 20;
  const Scratch scratch;
  const fs::path root = scratch.path() / "trained";
  const auto models = our_models(root, 0.05);
  std::map<std::string, std::vector<double>> ours;
  for (const auto& [family, model] : models) {
    AdamW optimizer(model->layout().size(), model->layout().matrices_end());
    json batches = json::array();
    for (int step = 0; step < kSteps; ++step) {
      const MicroBatch batch = sample_batch(4, static_cast<uint64_t>(step));
      batches.push_back({ids_of(batch.ids), ids_of(batch.labels)});
      const auto tokens = static_cast<double>(batch.ids.numel());
      ours[family].push_back(model->forward_backward(batch, 1 / tokens).item<double>() / tokens);
      const double clip = clip_scale(gradient_norm(model->gradients()), 1.0);
      optimizer.update(model->writable_weights(), model->gradients(),
                       {.learning_rate = 3e-3, .weight_decay = 0.1, .gradient_scale = clip});
    }
    write_file(root / family / "batches.json", batches.dump());
  }
  ASSERT_EQ(run_program(script(python, "train", root)).code, 0)
      << read_file(root.string() + ".log");
  for (const auto& [family, losses] : ours) {
    const auto want = json::parse(read_file(root / family / "losses.json"));
    for (size_t i = 0; i < losses.size(); ++i) {
      EXPECT_NEAR(losses[i], want.at(i).get<double>(), 1e-4 * losses[i]) << family << " step " << i;
    }
    EXPECT_LT(losses.back(), losses.front()) << family << ": nothing was learned";
  }
}

}  // namespace
}  // namespace llmctl
