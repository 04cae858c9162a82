// The first losses of a training run against PyTorch: the same weights and batches go to
// reference_losses.py, which trains with autograd and torch.optim.AdamW.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/trainer/python.h"
#include "tests/trainer/sample_model.h"
#include "tests/trainer/scratch.h"
#include "tests/trainer/trainer_process.h"
#include "trainer/formats/safetensors/safetensors.h"
#include "trainer/inference/generate.h"
#include "trainer/optim/adamw.h"
#include "trainer/optim/gradient_norm.h"

namespace llmctl {
namespace {

constexpr int kCompared = 20;

std::vector<int64_t> list_of(const at::Tensor& ids) {
  const auto* data = ids.const_data_ptr<int32_t>();
  return {data, data + ids.numel()};
}

TEST(Losses, EqualPyTorchsStepByStep) {
  const std::string python = python_with("torch");
  if (python.empty()) GTEST_SKIP() << "no Python with torch: set LLMCTL_PYTHON or make .venv";
  const Scratch scratch;
  ModelConfig config = sample_config();
  config.tie_word_embeddings = false;
  Model model(config, {.sequence_len = kSampleLength});
  initialize(model.layout(), 0.05, 3, model.writable_weights());
  std::vector<TensorView> views;
  for (const ParameterSlot& slot : model.layout().slots()) {
    const at::Tensor view = view_of(model.weights(), slot);
    views.push_back({slot.name,
                     DType::f32,
                     slot.shape,
                     {static_cast<const std::byte*>(view.const_data_ptr()), view.nbytes()}});
  }
  ASSERT_TRUE(write_safetensors(scratch.path() / "weights.safetensors", views, {}).ok());
  nlohmann::json document = {{"layers", config.num_hidden_layers},
                             {"head_dim", config.head_dim},
                             {"eps", config.rms_norm_eps},
                             {"theta", config.rope_theta},
                             {"length", kSampleLength},
                             {"lr", 3e-3},
                             {"weight_decay", 0.1},
                             {"max_grad_norm", 1.0}};

  AdamW optimizer(model.layout().size(), model.layout().matrices_end());
  std::vector<double> ours;
  for (int step = 0; step < kCompared; ++step) {
    const MicroBatch batch = sample_batch(4, static_cast<uint64_t>(step));
    document["batches"].push_back({list_of(batch.ids), list_of(batch.labels)});
    const auto tokens = static_cast<double>(batch.ids.numel());
    ours.push_back(model.forward_backward(batch, 1 / tokens).item<double>() / tokens);
    optimizer.update(model.writable_weights(), model.gradients(),
                     {.learning_rate = 3e-3,
                      .weight_decay = 0.1,
                      .gradient_scale = clip_scale(gradient_norm(model.gradients()), 1.0)});
  }
  write_file(scratch.path() / "case.json", document.dump());

  const ProgramOutput reference =
      run_program(python + " '" LLMCTL_SOURCE_DIR "/tests/trainer/model/reference_losses.py' " +
                  scratch.path().string());
  ASSERT_EQ(reference.code, 0);
  std::istringstream lines(reference.out);
  for (int step = 0; step < kCompared; ++step) {
    double want = 0;
    ASSERT_TRUE(lines >> want) << "PyTorch gave no loss for step " << step;
    EXPECT_NEAR(ours[static_cast<size_t>(step)], want, 1e-4 * want) << "step " << step;
  }
  EXPECT_LT(ours.back(), ours.front()) << "nothing was learned";
}

TEST(Decoder, GivesTheSameLogitsTokenByTokenAsAtOnce) {
  Model model(sample_config(), {.sequence_len = kSampleLength});
  initialize(model.layout(), 0.1, 3, model.writable_weights());
  const MicroBatch batch = sample_batch(1, 4);
  const std::span<const int32_t> ids(batch.ids.const_data_ptr<int32_t>(), kSampleLength);
  Decoder whole(model), single(model);
  const at::Tensor at_once = whole.feed(ids);
  at::Tensor one_by_one;
  for (size_t i = 0; i < ids.size(); ++i) one_by_one = single.feed(ids.subspan(i, 1));
  EXPECT_LE((at_once - one_by_one).abs().max().item<double>(), 1e-4);
  EXPECT_EQ(single.room(), 0);
}

TEST(Decoder, PredictsWhatTheTrainingPassPredicts) {
  Model model(sample_config(), {.sequence_len = kSampleLength});
  initialize(model.layout(), 0.1, 3, model.writable_weights());
  const MicroBatch batch = sample_batch(1, 4);
  const auto *ids = batch.ids.const_data_ptr<int32_t>(),
             *labels = batch.labels.const_data_ptr<int32_t>();
  Decoder decoder(model);
  double loss = 0;
  for (int64_t i = 0; i < kSampleLength; ++i) {
    loss -= at::log_softmax(decoder.feed({ids + i, 1}), -1)[labels[i]].item<double>();
  }
  EXPECT_NEAR(model.forward(batch).item<double>(), loss, 1e-4 * loss);
}

}  // namespace
}  // namespace llmctl
