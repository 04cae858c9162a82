// What blocks save in the gradients' room changes no bit of the gradients, and is not counted
// twice.
#include "trainer/model/gradient_room.h"

#include <gtest/gtest.h>

#include "tests/trainer/sample_model.h"

namespace llmctl {
namespace {

struct RoomCase {
  const char* name;
  const char* family = "llama";
  Checkpointing checkpointing = kNone;
  bool tied = true;
  at::ScalarType number = at::kFloat;
  bool packed = false;
};
void PrintTo(const RoomCase& c, std::ostream* out) {
  *out << c.name;
}

struct LentRun {
  at::Tensor gradients, loss;
  Bytes peak = 0;
};

// Three steps, so that what a pass left in the room would show in the next.
LentRun train(const RoomCase& c, bool one_pass) {
  ModelConfig config = sample_config();
  config.tie_word_embeddings = c.tied;
  set_family(config, c.family);
  config = resolved(config, 0, kSampleLength);
  ModelOptions options = {.sequence_len = kSampleLength, .checkpointing = c.checkpointing};
  options.number = c.number;
  options.one_pass = one_pass;
  device_memory::release_kept_blocks();
  const Bytes before = device_memory::live_bytes();
  device_memory::reset_peak();
  Model model(config, options);
  initialize(model.layout(), 0.1, 1, model.weights());
  MicroBatch batch = sample_batch(8, 3);
  if (c.packed) batch.document_starts = {0, 5, 24, 48, 51, 72, 96, 120, 144, 168};
  LentRun outcome;
  for (int step = 0; step < 3; ++step) {
    outcome.loss = model.forward_backward(batch, 0.01);
    outcome.gradients = model.gradients().clone();
    model.weights().sub_(outcome.gradients.to(model.weights().scalar_type()));
    model.gradients().zero_();
  }
  outcome.peak = device_memory::peak_bytes() - before;
  return outcome;
}

class GradientRooms : public ::testing::TestWithParam<RoomCase> {};

TEST_P(GradientRooms, ChangeNoBitAndSaveMemory) {
  const LentRun apart = train(GetParam(), false), lent = train(GetParam(), true);
  EXPECT_TRUE(at::equal(apart.gradients, lent.gradients));
  EXPECT_TRUE(at::equal(apart.loss, lent.loss));
  EXPECT_GT(apart.gradients.abs().max().item<float>(), 0);
  EXPECT_LT(lent.peak, apart.peak);
}

INSTANTIATE_TEST_SUITE_P(Options,
                         GradientRooms,
                         ::testing::Values(RoomCase{"tied"},
                                           RoomCase{"untied", "llama", kNone, false},
                                           RoomCase{"selective", "llama", kSelective},
                                           RoomCase{"block", "llama", kBlock},
                                           RoomCase{"block_untied", "llama", kBlock, false},
                                           RoomCase{"gpt2", "gpt2"},
                                           RoomCase{"gemma3", "gemma3_text"},
                                           RoomCase{"bf16", "llama", kNone, true, at::kBFloat16},
                                           RoomCase{"packed", "qwen3", kNone, true, at::kFloat,
                                                    true}),
                         [](const auto& c) { return std::string(c.param.name); });

TEST(GradientRoom, LendsOnlyWhatLiesBeforeABlockAndIsZeroAfterwards) {
  const ModelConfig config = sample_config();
  const ParameterLayout layout(config);
  at::Tensor gradients = at::zeros({layout.size()}, at::kFloat);
  GradientRoom room(layout, gradients, config);
  const auto* first = gradients.const_data_ptr<float>();
  const at::Tensor second_block = layout.view(gradients, "model.layers.1.self_attn.q_proj.weight");
  room.open();
  at::Tensor lent;
  {
    const LendScope scope = room.lend_to(0);
    EXPECT_EQ(room.take(64), nullptr) << "the embedding is the head's, too";
  }
  {
    const LendScope scope = room.lend_to(1);
    const Bytes live = device_memory::live_bytes();
    lent = at::full({2'000}, 7.0F);
    EXPECT_EQ(device_memory::live_bytes(), live);
    EXPECT_GT(lent.const_data_ptr<float>(), first);
    EXPECT_LT(lent.const_data_ptr<float>() + 2'000, second_block.const_data_ptr<float>());
    const at::Tensor too_large = at::empty({layout.size()}, at::kFloat);
    EXPECT_GT(device_memory::live_bytes(), live) << "which lies elsewhere";
  }
  EXPECT_EQ(gradients.eq(7).sum().item<int64_t>(), 2'000) << "beside a header of the allocator";
  room.take_back(1);  // lies behind what is lent
  lent.reset();
  room.take_back(0);
  EXPECT_EQ(gradients.abs().max().item<float>(), 0);
}

}  // namespace
}  // namespace llmctl
