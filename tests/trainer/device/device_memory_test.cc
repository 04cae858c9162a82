#include "trainer/device/device_memory.h"

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/plan/memory_model.h"
#include "core/training/offload.h"
#include "core/training/optimizer_facts.h"
#include "core/training/precision.h"
#include "tests/trainer/sample_model.h"
#include "trainer/ops/cpu/cpu_gemm.h"
#include "trainer/optim/optimizer.h"

namespace llmctl {
namespace {

const bool installed = [] {  // for all tests of this program
  device_memory::install();
  at::set_num_threads(1);  // small tensors; more threads than idle cores only wait
  return true;
}();

constexpr Bytes kMiB = 1 << 20;

class DeviceMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(installed);
    device_memory::release_kept_blocks();
    device_memory::reset_peak();
    before_ = device_memory::live_bytes();
  }
  void TearDown() override { device_memory::set_cap(0); }
  static at::Tensor mebibytes(int64_t n) { return at::empty({n * kMiB}, at::kByte); }
  Bytes before_ = 0;
};

TEST_F(DeviceMemory, CountsEachTensorUnderTheCauseOfItsScope) {
  const MemoryByCause base = device_memory::peak_by_cause();
  at::Tensor a, b, c;
  {
    const CauseScope outer(Cause::activations);
    a = mebibytes(3);
    {
      const CauseScope inner(Cause::logits);
      b = mebibytes(5);
    }
    c = mebibytes(1);
  }
  EXPECT_EQ(device_memory::live_bytes() - before_, 9 * kMiB);
  b.reset();
  EXPECT_EQ(device_memory::live_bytes() - before_, 4 * kMiB);
  const MemoryByCause peak = device_memory::peak_by_cause();
  EXPECT_EQ(peak.activations - base.activations, 4 * kMiB);
  EXPECT_EQ(peak.logits - base.logits, 5 * kMiB);
  EXPECT_EQ(peak.total(), device_memory::peak_bytes());
}

TEST_F(DeviceMemory, RefusesWhatTheCapDoesNotAllow) {
  device_memory::set_cap(before_ + 10 * kMiB);
  const at::Tensor fits = mebibytes(8);
  EXPECT_THROW(mebibytes(3), c10::OutOfMemoryError);
  EXPECT_EQ(device_memory::live_bytes() - before_, 8 * kMiB);
  EXPECT_NO_THROW(mebibytes(2));
}

TEST_F(DeviceMemory, LetsGoOfKeptBlocksBeforeItRefuses) {
  device_memory::set_cap(before_ + 10 * kMiB);
  { const at::Tensor kept = mebibytes(9); }
  EXPECT_NO_THROW(mebibytes(10)) << "a kept block of another size stood in the way";
}

TEST_F(DeviceMemory, GivesAFreedBlockToTheNextRequestOfItsSize) {
  const void* first = mebibytes(7).const_data_ptr();
  EXPECT_EQ(mebibytes(7).const_data_ptr(), first);
}

struct Shape {
  const char* name;
  int64_t vocab, hidden, layers, heads, kv_heads, sequence, micro_batch;
  Checkpointing checkpointing;
  bool tied;
  int64_t head_dim = 0;  // 0: hidden / heads
  const char* attention = "sdpa";
  const char* optimizer = "adamw";
  const char* family = "llama";
  bool packed = false;
  const char* precision = "fp32";
  const char* offload = "none";
  bool masters = true;
};
void PrintTo(const Shape& s, std::ostream* out) {
  *out << s.name;
}
class Prediction : public ::testing::TestWithParam<Shape> {};

MemoryByCause measured(const FitQuestion& q) {
  device_memory::release_kept_blocks();
  device_memory::reset_peak();
  Model model(q.model, {.sequence_len = q.sequence_len,
                        .attention = attention_kind(q.attention),
                        .checkpointing = q.gradient_checkpointing,
                        .number = activation_type(q.precision),
                        .offload = offloads_activations(q.offload),
                        .matrices = matrix_type(q.precision, q.masters)});
  const auto optimizer = make_optimizer(q.optimizer, model.layout(), at::kCPU,
                                        {.offload = offloads_optimizer(q.offload)});
  initialize(model.layout(), 0.02, 1, model.writable_weights());
  MicroBatch batch = {at::zeros({q.micro_batch_size * q.sequence_len}, at::kInt),
                      at::ones({q.micro_batch_size * q.sequence_len}, at::kInt)};
  for (int64_t i = 0; q.packed && i < q.micro_batch_size; ++i) {
    batch.document_starts.push_back(static_cast<int32_t>(i * q.sequence_len));
  }
  for (int step = 0; step < 2; ++step) {
    model.forward_backward(batch, 1e-3);
    optimizer->update(model.writable_weights(), model.gradients(), {.learning_rate = 1e-3});
  }
  return device_memory::peak_by_cause();
}

// To a fiftieth; with 16-bit numbers the prediction is for a CPU that has to widen them.
TEST_P(Prediction, IsWhatIsMeasured) {
  const Shape& s = GetParam();
  FitQuestion q;
  q.model.vocab_size = s.vocab;
  q.model.hidden_size = s.hidden;
  q.model.num_hidden_layers = s.layers;
  q.model.num_attention_heads = s.heads;
  q.model.num_key_value_heads = s.kv_heads;
  q.model.tie_word_embeddings = s.tied;
  q.model.head_dim = s.head_dim;
  q.attention = s.attention;
  q.optimizer = s.optimizer;
  q.packed = s.packed;
  q.precision = s.precision;
  q.offload = s.offload;
  q.masters = s.masters;
  set_family(q.model, s.family);
  if (q.model.sliding_window > 0) q.model.sliding_window = s.sequence / 4;
  q.model = resolved(q.model, 0, s.sequence);
  q.sequence_len = s.sequence;
  q.micro_batch_size = s.micro_batch;
  q.gradient_checkpointing = s.checkpointing;
  const MemoryByCause want = measured(q), got = predict_memory(q);
  const auto real = static_cast<double>(want.total());
  const double doubt = has_weight_copy(q.precision) ? 0.1 : 0.02;
  EXPECT_NEAR(static_cast<double>(got.total()), real, doubt * real)
      << "predicted " << to_json(got) << "\nmeasured  " << to_json(want);
}

TEST(Readers, Of16BitsTakeTwoBytesForAWeight) {
  ModelConfig config;
  config.vocab_size = 8'192;
  config.hidden_size = 256;
  config.num_hidden_layers = 3;
  config.num_attention_heads = 4;
  config = resolved(config, 0, 64);
  device_memory::release_kept_blocks();
  const Bytes before = device_memory::live_bytes();
  const Model reader(config, {.sequence_len = 64, .matrices = at::kBFloat16, .trains = false});
  const auto bytes = 2 * static_cast<double>(reader.layout().parameters());
  const Bytes rotary = 4 * 64 * config.head_dim;
  EXPECT_NEAR(static_cast<double>(device_memory::live_bytes() - before - rotary), bytes,
              0.01 * bytes);
}

TEST(PackedWeights, TakeWhatIsPredicted) {
  if (cpu_gemm::name() == "LibTorch") GTEST_SKIP() << "LibTorch multiplies on this CPU";
  JobSpec spec;
  spec.model.config.vocab_size = 8'192;
  spec.model.config.hidden_size = 256;
  spec.model.config.num_hidden_layers = 3;
  spec.model.config.num_attention_heads = 4;
  spec.model.config = resolved(spec.model.config, 0, 64);
  Plan plan;
  plan.gradient_accumulation_steps = 2;
  const auto parameters_of = [&](bool packs) {
    ModelOptions options = {.sequence_len = 64};
    options.pack_weights = packs;
    device_memory::release_kept_blocks();
    const Bytes before = device_memory::live_bytes();
    const Model model(spec.model.config, options);
    return static_cast<double>(device_memory::live_bytes() - before);
  };
  const auto predicted = static_cast<double>(packed_weight_bytes(spec, plan));
  EXPECT_NEAR(parameters_of(true) - parameters_of(false), predicted, 0.001 * predicted);
}

TEST(OptimizerMemory, IsWhatEachOptimizerAllocates) {
  ModelConfig config;
  config.vocab_size = 1'000;
  config.hidden_size = 144;
  config.num_hidden_layers = 3;
  config.num_attention_heads = 4;
  config = resolved(config, 0, 32);
  const ParameterLayout layout(config);
  const auto expect_counted = [&](const char* name, bool averaged) {
    device_memory::release_kept_blocks();
    const Bytes before = device_memory::live_bytes();
    const auto made = make_optimizer(name, layout, at::kCPU, {.ema_decay = averaged ? 0.99 : 0});
    const Bytes got = device_memory::live_bytes() - before;
    // Flat buffers have up to a cache line between two tensors.
    const auto slack = static_cast<Bytes>(2 * 64 * layout.slots().size());
    EXPECT_NEAR(static_cast<double>(got),
                static_cast<double>(optimizer_memory(name, config, averaged).state),
                static_cast<double>(slack))
        << name;
  };
  for (const OptimizerFacts& facts : optimizers()) expect_counted(facts.name, false);
  expect_counted("lion", true);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes,
    Prediction,
    ::testing::Values(
        Shape{"tiny", 257, 64, 2, 4, 4, 32, 2, kNone, true},
        Shape{"long", 257, 128, 4, 4, 2, 512, 4, kNone, true},
        Shape{"long_checkpointed", 257, 128, 4, 4, 2, 512, 4, kBlock, true},
        Shape{"long_selective", 257, 128, 4, 4, 2, 512, 4, kSelective, true},
        Shape{"gpt2_selective", 257, 128, 4, 4, 4, 256, 4, kSelective, true, 0, "sdpa", "adamw",
              "gpt2"},
        Shape{"gemma3_selective", 257, 128, 4, 4, 2, 256, 4, kSelective, true, 0, "sdpa", "adamw",
              "gemma3_text"},
        Shape{"bf16_selective", 257, 128, 8, 4, 4, 512, 4, kSelective, true, 0, "sdpa", "adamw",
              "llama", false, "bf16"},
        Shape{"wide_vocabulary", 16'384, 128, 2, 4, 2, 128, 4, kNone, true},
        Shape{"untied", 8'192, 256, 3, 8, 4, 128, 4, kNone, false},
        Shape{"deep_checkpointed", 1'024, 192, 12, 6, 2, 256, 4, kBlock, false},
        // Attention's backward is the peak of these.
        Shape{"wide_heads", 257, 64, 2, 8, 8, 256, 4, kNone, true, 64},
        Shape{"wide_heads_grouped", 257, 64, 2, 8, 2, 256, 4, kBlock, true, 64},
        Shape{"manual", 257, 64, 2, 4, 2, 256, 2, kNone, true, 0, "manual"},
        Shape{"manual_checkpointed", 257, 64, 3, 4, 4, 256, 2, kBlock, true, 0, "manual"},
        // The update itself is the peak of these.
        Shape{"adafactor", 8'192, 256, 2, 4, 4, 32, 1, kBlock, true, 0, "sdpa", "adafactor"},
        Shape{"muon", 257, 256, 2, 4, 4, 32, 1, kBlock, true, 0, "sdpa", "muon"},
        Shape{"gpt2", 257, 128, 3, 4, 4, 256, 4, kNone, true, 0, "sdpa", "adamw", "gpt2"},
        Shape{"gpt2_checkpointed", 4'096, 96, 6, 4, 4, 128, 4, kBlock, true, 0, "sdpa", "adamw",
              "gpt2"},
        Shape{"qwen3", 257, 128, 3, 4, 2, 256, 4, kNone, true, 64, "sdpa", "adamw", "qwen3"},
        Shape{"mistral", 257, 128, 3, 4, 2, 256, 4, kNone, false, 0, "sdpa", "adamw", "mistral"},
        Shape{"gemma2", 257, 128, 3, 4, 2, 128, 4, kNone, true, 0, "sdpa", "adamw", "gemma2"},
        Shape{"gemma2_wide_vocabulary", 16'384, 64, 2, 4, 2, 64, 4, kNone, true, 0, "sdpa", "adamw",
              "gemma2"},
        Shape{"gemma3", 257, 128, 3, 4, 2, 256, 4, kBlock, true, 0, "sdpa", "adamw", "gemma3_text"},
        Shape{"packed", 257, 128, 3, 4, 2, 256, 4, kNone, true, 64, "sdpa", "adamw", "llama", true},
        Shape{"bf16", 257, 128, 4, 4, 2, 512, 4, kNone, true, 0, "sdpa", "adamw", "llama", false,
              "bf16"},
        Shape{"bf16_checkpointed", 257, 128, 8, 4, 4, 512, 4, kBlock, true, 0, "sdpa", "adamw",
              "llama", false, "bf16"},
        Shape{"bf16_gpt2", 257, 128, 4, 4, 4, 256, 8, kNone, true, 0, "sdpa", "adamw", "gpt2",
              false, "bf16"},
        Shape{"bf16_wide_vocabulary", 16'384, 128, 2, 4, 2, 128, 4, kNone, true, 0, "sdpa", "adamw",
              "llama", false, "bf16"},
        Shape{"fp16_untied", 8'192, 256, 3, 8, 4, 128, 4, kNone, false, 0, "sdpa", "adamw", "llama",
              false, "fp16"},
        Shape{"bf16_alone", 257, 128, 4, 4, 2, 512, 4, kNone, true, 0, "sdpa", "adamw", "llama",
              false, "bf16", "none", false},
        Shape{"bf16_alone_checkpointed", 1'024, 192, 12, 6, 2, 128, 2, kBlock, false, 0, "sdpa",
              "lion", "llama", false, "bf16", "none", false},
        Shape{"bf16_alone_wide_vocabulary", 16'384, 256, 2, 4, 2, 32, 1, kBlock, true, 0, "sdpa",
              "adafactor", "llama", false, "bf16", "none", false},
        // The same peak on a CPU, where nothing is saved.
        Shape{"offloaded", 257, 128, 6, 4, 2, 256, 4, kNone, true, 0, "sdpa", "adamw", "llama",
              false, "fp32", "all"},
        Shape{"offloaded_checkpointed", 257, 128, 6, 4, 2, 256, 4, kBlock, true, 0, "sdpa", "adamw",
              "llama", false, "fp32", "all"},
        Shape{"offloaded_state", 8'192, 512, 2, 4, 4, 32, 1, kBlock, true, 0, "sdpa", "adamw",
              "llama", false, "fp32", "optimizer"}),
    [](const auto& c) { return std::string(c.param.name); });

}  // namespace
}  // namespace llmctl
