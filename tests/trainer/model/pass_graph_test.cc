// What a graph of a pass must not change, on the CPU, where a replay runs the pass again. That CUDA
// captures it is in gpu_memory_test.cc.
#include "trainer/model/pass_graph.h"

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <stdexcept>

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
  out.weights = model.weights().flat().clone();
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

// Counts what is captured and what lives; a capture may throw instead.
struct Graphs {
  int captures = 0, alive = 0;
  std::function<void()> refuse = [] {};

  std::unique_ptr<DeviceGraph> make() { return std::make_unique<Counted>(*this); }

  class Counted final : public DeviceGraph {
   public:
    explicit Counted(Graphs& graphs) : graphs_(graphs) { ++graphs_.alive; }
    ~Counted() override { --graphs_.alive; }
    void capture(std::function<void()> work) override {
      graphs_.refuse();
      ++graphs_.captures;
      work_ = std::move(work);
    }
    void replay() override { work_(); }

   private:
    Graphs& graphs_;
    std::function<void()> work_;
  };
};

class CapturedPass : public ::testing::Test {
 protected:
  CapturedPass() { initialize(model_.layout(), 0.1, 1, model_.writable_weights()); }
  double pass(double scale) {
    return pass_.forward_backward(sample_batch(2, 1), scale).item<double>();
  }
  Graphs graphs_;
  std::vector<std::string> told_;
  Model model_{sample_config(), {.sequence_len = kSampleLength}};
  PassGraph pass_{model_, true, [&](const std::string& why) { told_.push_back(why); },
                  [&](at::Device) { return graphs_.make(); }};
};

// As in fp16, whose first steps overflow, or where steps learn of unequal numbers of tokens.
TEST_F(CapturedPass, ServesEveryScale) {
  for (int i = 1; i <= 8; ++i) {
    const double scale = 0.01 * i;
    model_.gradients().zero_();
    const double got = pass(scale);
    const at::Tensor gradients = model_.gradients().clone();
    model_.gradients().zero_();
    EXPECT_EQ(got, model_.forward_backward(sample_batch(2, 1), scale).item<double>());
    EXPECT_TRUE(at::equal(gradients, model_.gradients())) << scale;
  }
  EXPECT_EQ(graphs_.captures, 1);
  EXPECT_TRUE(told_.empty());
}

TEST_F(CapturedPass, StaysEagerWhateverACaptureThrows) {
  graphs_.refuse = [] { throw std::runtime_error("CUDA: no"); };  // as launch.cu does
  for (int i = 0; i < 5; ++i) pass(0.01);
  EXPECT_EQ(told_, std::vector<std::string>{"CUDA: no"});
  EXPECT_FALSE(pass_.will_capture());
  EXPECT_EQ(graphs_.alive, 0);
}

TEST_F(CapturedPass, RunsOutOfMemoryAsAnEagerOneDoes) {
  graphs_.refuse = [] { TORCH_CHECK_WITH(OutOfMemoryError, false, "out of memory"); };
  pass(0.01);
  pass(0.01);
  EXPECT_THROW(pass(0.01), c10::OutOfMemoryError);
  EXPECT_TRUE(told_.empty());
}

TEST_F(CapturedPass, HoldsNoMemoryWhileSomethingElseRuns) {
  const double want = pass(0.01);
  EXPECT_TRUE(pass_.will_capture()) << "a probe must not end here";
  for (int i = 0; i < 3; ++i) pass(0.01);
  EXPECT_FALSE(pass_.will_capture());
  EXPECT_EQ(graphs_.alive, 1);
  pass_.release();
  EXPECT_EQ(graphs_.alive, 0);
  EXPECT_FALSE(pass_.captured());
  EXPECT_EQ(pass(0.01), want);
  EXPECT_TRUE(pass_.captured());
  EXPECT_EQ(graphs_.captures, 2);
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
