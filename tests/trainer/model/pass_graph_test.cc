// What a graph of a pass must not change, on the CPU, where a replay runs the pass again. That CUDA
// captures it is in gpu_test.cc.
#include "trainer/model/pass_graph.h"

#include <gtest/gtest.h>

#include "tests/trainer/sample_model.h"
#include "trainer/optim/adamw.h"

namespace llmctl {
namespace {

struct Trained {
  std::vector<double> losses;
  at::Tensor weights;
  std::vector<std::string> told;
  bool captured = false;
};

// Six steps of two micro-batches each; the loss scale changes on the way.
Trained trained(bool graphs, ModelOptions options, bool packed = false) {
  options.sequence_len = kSampleLength;
  ModelConfig config = sample_config();
  config.learned_positions = true;
  config = resolved(config, 0, kSampleLength);
  Model model(config, options);
  initialize(model.layout(), 0.1, 1, model.writable_weights());
  AdamW optimizer(model.layout().size(), model.layout().matrices_end());
  Trained out;
  PassGraph pass(model, graphs, [&](const std::string& why) { out.told.push_back(why); });
  for (uint64_t step = 0; step < 6; ++step) {
    const double scale = step < 4 ? 0.01 : 0.02;
    for (uint64_t micro = 0; micro < 2; ++micro) {
      MicroBatch batch = sample_batch(2, 2 * step + micro);
      if (packed) batch.document_starts = {0, 9, kSampleLength};
      out.losses.push_back(pass.forward_backward(batch, scale).item<double>());
    }
    optimizer.update(model.writable_weights(), model.gradients(), {.learning_rate = 1e-2});
  }
  out.weights = model.weights().clone();
  out.captured = pass.captured();
  return out;
}

TEST(PassGraph, ChangesNoBitWhateverTheWeightsAndTheScaleBecome) {
  for (const at::ScalarType number : {at::kFloat, at::kBFloat16}) {
    const ModelOptions options = {.number = number};
    const Trained want = trained(false, options), got = trained(true, options);
    EXPECT_FALSE(want.captured);
    EXPECT_TRUE(got.captured);
    EXPECT_EQ(got.losses, want.losses);
    EXPECT_TRUE(at::equal(got.weights, want.weights));
    EXPECT_TRUE(got.told.empty());
  }
}

TEST(PassGraph, StaysEagerAndSaysOnceWhyForWhatAGraphCannotHold) {
  const Trained packed = trained(true, {}, /*packed=*/true);
  EXPECT_FALSE(packed.captured);
  EXPECT_EQ(packed.told, std::vector<std::string>{"documents are packed"});
  const Trained offloaded = trained(true, {.offload = true});
  EXPECT_FALSE(offloaded.captured);
  EXPECT_EQ(offloaded.told, std::vector<std::string>{"activations are offloaded"});
  EXPECT_EQ(offloaded.losses, trained(false, {}).losses);
}

TEST(PassGraph, GivesUpWhenEveryPassHasAnotherScale) {
  Model model(sample_config(), {.sequence_len = kSampleLength});
  initialize(model.layout(), 0.1, 1, model.writable_weights());
  std::vector<std::string> told;
  PassGraph pass(model, true, [&](const std::string& why) { told.push_back(why); });
  for (int i = 1; i <= 8; ++i) {
    const double scale = 0.01 * i;
    const double got = pass.forward_backward(sample_batch(2, 1), scale).item<double>();
    EXPECT_EQ(got, model.forward_backward(sample_batch(2, 1), scale).item<double>());
  }
  EXPECT_FALSE(pass.captured());
  EXPECT_EQ(told.size(), 1u);
}

TEST(PassGraph, RunsAMicroBatchOfAnotherSizeEagerly) {
  Model model(sample_config(), {.sequence_len = kSampleLength});
  initialize(model.layout(), 0.1, 1, model.writable_weights());
  PassGraph pass(model, true, [](const std::string&) {});
  for (int i = 0; i < 4; ++i) pass.forward_backward(sample_batch(2, 1), 0.01);
  EXPECT_TRUE(pass.captured());
  const double got = pass.forward_backward(sample_batch(3, 1), 0.01).item<double>();
  EXPECT_EQ(got, model.forward_backward(sample_batch(3, 1), 0.01).item<double>());
}

}  // namespace
}  // namespace llmctl
