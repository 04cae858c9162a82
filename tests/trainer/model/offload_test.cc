// Offloaded is resident, to the bit: on the CPU the same steps copy between two host tensors. What
// only a GPU can tell (streams, pinned memory, bytes on the device) is in gpu_test.cc.
#include <gtest/gtest.h>

#include "core/fields/field_table.h"
#include "core/training/optimizer_facts.h"
#include "tests/trainer/close.h"
#include "tests/trainer/sample_model.h"
#include "trainer/model/saved_activations.h"
#include "trainer/optim/averaged.h"
#include "trainer/optim/optimizer.h"

namespace llmctl {
namespace {

struct Passes {
  const char* family;
  const char* precision = "fp32";
  Checkpointing checkpointing = Checkpointing::none;
  bool packed = false;
  AttentionKind attention = AttentionKind::sdpa;
};

Model model_of(const Passes& p, bool offload) {
  ModelConfig config = sample_config();
  config.head_dim = 0;
  if (p.family == std::string("gpt2")) config.num_key_value_heads = config.num_attention_heads;
  set_family(config, p.family);
  Model model(resolved(config, 0, kSampleLength), {.sequence_len = kSampleLength,
                                                   .attention = p.attention,
                                                   .checkpointing = p.checkpointing,
                                                   .number = activation_type(p.precision),
                                                   .offload = offload});
  initialize(model.layout(), 0.1, 1, model.writable_weights());
  return model;
}

// The losses of two micro-batches of different sizes; packed, the first sequence is two documents.
std::vector<double> two_passes(Model& model, bool packed) {
  std::vector<double> losses;
  for (const int64_t sequences : {4, 3}) {
    MicroBatch batch = sample_batch(sequences, 5);
    if (packed) batch.document_starts = {0, 9};
    for (int64_t i = 1; packed && i < sequences; ++i) {
      batch.document_starts.push_back(static_cast<int32_t>(i * kSampleLength));
    }
    losses.push_back(model.forward_backward(batch, 0.01).item<double>());
  }
  return losses;
}

TEST(Offload, ChangesNoBitOfAPass) {
  for (const std::string_view family : words(architectures())) {
    for (const auto again : {Checkpointing::none, Checkpointing::selective, Checkpointing::block}) {
      for (const bool packed : {false, true}) {
        const std::string name(family);
        for (const char* precision : {"fp32", "bf16"}) {
          SCOPED_TRACE(name + " " + precision + " " + to_string(again) + (packed ? " packed" : ""));
          const Passes passes = {name.c_str(), precision, again, packed};
          Model resident = model_of(passes, false), offloaded = model_of(passes, true);
          EXPECT_EQ(two_passes(offloaded, packed), two_passes(resident, packed));
          EXPECT_TRUE(at::equal(offloaded.gradients(), resident.gradients()));
        }
      }
    }
  }
}

TEST(Offload, ChangesNoBitOfThePlainFormulaOfAttention) {
  const Passes passes = {.family = "llama", .attention = AttentionKind::manual};
  Model resident = model_of(passes, false), offloaded = model_of(passes, true);
  EXPECT_EQ(two_passes(offloaded, false), two_passes(resident, false));
  EXPECT_TRUE(at::equal(offloaded.gradients(), resident.gradients()));
}

TEST(SavedActivations, GiveBackCopiesOfAllThatIsLargeAndOfNothingElse) {
  HostTransfer transfer(at::kCPU);
  SavedActivations saved(3, &transfer);
  std::vector<at::Tensor> kept;
  for (size_t i = 0; i < 3; ++i) {
    Block::Saved s;
    s.x = numbers({64, 48}, static_cast<double>(i));
    s.attention_statistics = numbers({64}, static_cast<double>(i));
    s.attention.weights = {numbers({64, 64}, static_cast<double>(i)).t()};
    kept.push_back(s.x);
    saved.keep(i, s);
  }
  for (size_t i = 3; i-- > 0;) {
    const Block::Saved s = saved.take(i);
    EXPECT_TRUE(at::equal(s.x, kept[i]));
    EXPECT_EQ(s.x.is_same(kept[i]), i == 2) << "the last one is needed at once";
    EXPECT_EQ(s.attention.weights[0].strides(), at::IntArrayRef({1, 64}));
    EXPECT_FALSE(s.middle.defined());
  }
}

struct Updated {
  at::Tensor weights;
  std::vector<NamedTensor> state;
  at::Tensor average;
};

// Two layers, with slots on both sides of what is quantized, in pieces that end inside slots.
Updated updated(const std::string& optimizer, const OptimizerOptions& options) {
  ModelConfig config = sample_config();
  config.hidden_size = 96;
  config.head_dim = 0;
  const ParameterLayout layout(resolved(config, 0, kSampleLength));
  const auto made = make_optimizer(optimizer, layout, at::kCPU, options);
  Updated out = {at::zeros({layout.size()}), {}, {}};
  initialize(layout, 0.1, 1, out.weights);
  for (int step = 1; step <= 5; ++step) {
    at::Tensor gradient = numbers({layout.size()}, 31.0 * step);
    made->update(out.weights, gradient,
                 {.learning_rate = 1e-2, .weight_decay = 0.1, .gradient_scale = 0.5});
    EXPECT_EQ(gradient.count_nonzero().item<int64_t>(), 0);
  }
  out.state = made->state(layout);
  out.average = made->average();
  return out;
}

TEST(Offload, ChangesNoBitOfAnUpdateOfAnyOptimizer) {
  constexpr int64_t kPiece = 2 * kQuantizedBlock;
  for (const OptimizerFacts& facts : optimizers()) {
    for (const double ema_decay : {0.0, 0.9}) {
      SCOPED_TRACE(facts.name);
      const Updated want = updated(facts.name, {.ema_decay = ema_decay});
      const Updated got =
          updated(facts.name, {.ema_decay = ema_decay, .offload = true, .offload_piece = kPiece});
      EXPECT_TRUE(at::equal(got.weights, want.weights));
      ASSERT_EQ(got.state.size(), want.state.size());
      for (size_t i = 0; i < want.state.size(); ++i) {
        EXPECT_EQ(got.state[i].name, want.state[i].name);
        EXPECT_TRUE(at::equal(got.state[i].tensor, want.state[i].tensor)) << want.state[i].name;
      }
      ASSERT_EQ(got.average.defined(), ema_decay > 0);
      EXPECT_TRUE(ema_decay == 0 || at::equal(got.average, want.average));
    }
  }
}

TEST(OptimizerStateHome, VisitsEveryElementOnceAndKeepsWhatIsWritten) {
  OptimizerStateHome home(at::kCPU, /*offload=*/true, /*piece=*/100);
  const at::Tensor flat = home.zeros({1'050}), other = home.zeros({1'050}, at::kBFloat16);
  int64_t next = 0;
  home.visit_flat({flat, other},
                  [&](int64_t begin, int64_t size, OptimizerStateHome::Tensors& parts) {
                    EXPECT_EQ(begin, next);
                    EXPECT_EQ(parts[0].numel(), size);
                    EXPECT_FALSE(parts[0].is_alias_of(flat)) << "an update sees the device's copy";
                    parts[0].add_(at::arange(begin, begin + size));
                    parts[1].add_(1);
                    next += size;
                  });
  EXPECT_EQ(next, 1'050);
  EXPECT_TRUE(at::equal(flat, at::arange(1'050, at::kFloat)));
  EXPECT_TRUE(at::equal(other, at::ones({1'050}, at::kBFloat16)));
}

TEST(OptimizerStateHome, LeavesWhatIsWholeToTheUpdateThatThrows) {
  OptimizerStateHome home(at::kCPU, /*offload=*/true, /*piece=*/10);
  const at::Tensor flat = home.zeros({30});
  const auto second_fails = [](int64_t begin, int64_t, OptimizerStateHome::Tensors& parts) {
    parts[0].fill_(1);
    if (begin > 0) throw c10::OutOfMemoryError(c10::SourceLocation{}, "full");
  };
  EXPECT_THROW(home.visit_flat({flat}, second_fails), c10::OutOfMemoryError);
  EXPECT_EQ(flat.sum().item<float>(), 10);
}

}  // namespace
}  // namespace llmctl
