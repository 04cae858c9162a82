// 16-bit passes beside fp32 ones: near them by what their mantissas allow, and exact where nothing
// may differ.
#include <gtest/gtest.h>

#include "tests/trainer/close.h"
#include "tests/trainer/sample_model.h"
#include "trainer/inference/generate.h"
#include "trainer/ops/linear.h"
#include "trainer/run/saving/loss_scale.h"

namespace llmctl {
namespace {

constexpr std::array<const char*, 5> kFamilies = {"llama", "qwen3", "mistral", "gpt2", "gemma2"};

ModelConfig config_of(const std::string& family) {
  ModelConfig config = sample_config();
  config.head_dim = 0;
  set_family(config, family);
  return resolved(config, 0, kSampleLength);
}

Model model_of(const std::string& family,
               const std::string& precision,
               Checkpointing checkpointing = Checkpointing::none) {
  Model model(config_of(family), {.sequence_len = kSampleLength,
                                  .checkpointing = checkpointing,
                                  .number = activation_type(precision)});
  initialize(model.layout(), 0.1, 1, model.writable_weights());
  return model;
}

struct PassOf {
  double loss;
  at::Tensor gradients;
};
PassOf pass_of(Model& model, bool packed, double scale = 1) {
  MicroBatch batch = sample_batch(3, 5);
  if (packed) batch.document_starts = {0, 9, kSampleLength, 2 * kSampleLength};
  const auto tokens = static_cast<double>(batch.ids.numel());
  const double loss = model.forward_backward(batch, scale / tokens).item<double>() / tokens;
  return {loss, model.gradients().clone()};
}

double difference(const at::Tensor& got, const at::Tensor& want) {
  return ((got - want).norm() / want.norm()).item<double>();
}

struct Near {
  const char* precision;
  double loss, gradients;  // relative to fp32's
};
class Halves : public ::testing::TestWithParam<Near> {};

TEST_P(Halves, AreNearFp32InEveryFamily) {
  for (const char* family : kFamilies) {
    for (const bool packed : {false, true}) {
      SCOPED_TRACE(std::string(family) + (packed ? " packed" : ""));
      Model exact = model_of(family, "fp32"), half = model_of(family, GetParam().precision);
      const PassOf want = pass_of(exact, packed), got = pass_of(half, packed);
      EXPECT_NEAR(got.loss, want.loss, GetParam().loss * want.loss);
      EXPECT_NE(got.loss, want.loss) << "nothing was rounded";
      EXPECT_LE(difference(got.gradients, want.gradients), GetParam().gradients);
      EXPECT_EQ(got.gradients.scalar_type(), at::kFloat);
    }
  }
}

TEST_P(Halves, RecomputeTheSameBits) {
  for (const char* family : kFamilies) {
    Model kept = model_of(family, GetParam().precision);
    Model again = model_of(family, GetParam().precision, Checkpointing::block);
    EXPECT_TRUE(at::equal(pass_of(kept, false).gradients, pass_of(again, false).gradients))
        << family;
  }
}

TEST_P(Halves, FollowTheFp32Weights) {
  Model model = model_of("llama", GetParam().precision);
  const double before = pass_of(model, false).loss;
  model.writable_weights().flat().mul_(2);
  EXPECT_NE(pass_of(model, false).loss, before);
}

// Norms scale by 1 + w of Gemma or by w, w far from where it begins: one rounding, of the result.
TEST_P(Halves, ScaleByNormsThatLoseNoBit) {
  for (const char* family : {"gemma2", "llama"}) {
    SCOPED_TRACE(family);
    Model model = model_of(family, GetParam().precision);
    const at::Tensor w =
        view_of(model.writable_weights(), model.layout().slot("model.norm.weight"));
    w.copy_(numbers(w.sizes(), 3).mul_(0.4).add_(family[0] == 'g' ? 0.01 : 1.01));
    const at::ScalarType number = activation_type(GetParam().precision);
    const at::Tensor x = numbers({40, model.config().hidden_size}, 1).to(number);
    const at::Tensor wide = x.to(at::kDouble);
    const at::Tensor r = wide.square().mean(1, true).add_(model.config().rms_norm_eps).rsqrt_();
    const at::Tensor want = wide * r * (family[0] == 'g' ? 1 + w.to(at::kDouble) : w);
    const at::Tensor off = (model.final_norm(x).y.to(at::kDouble) - want).abs_();
    const double step = number == at::kHalf ? 0x1p-10 : 0x1p-7;  // between two numbers from 1 on
    EXPECT_LE((off / want.abs()).max().item<double>(), 0.51 * step);
  }
}

TEST_P(Halves, KeepVectorsInFp32WithAndWithoutMasters) {
  const at::ScalarType number = activation_type(GetParam().precision);
  for (const char* family : kFamilies) {
    for (const bool masters : {true, false}) {
      const Model model(config_of(family), {.sequence_len = kSampleLength,
                                            .number = number,
                                            .matrices = masters ? at::kFloat : number});
      for (const ParameterSlot& slot : model.layout().slots()) {
        const bool matrix = slot.shape.size() == 2;
        EXPECT_EQ(view_of(model.weights(), slot).scalar_type(),
                  matrix && !masters ? number : at::kFloat)
            << family << ": " << slot.name;
      }
      EXPECT_EQ(model.outer().norm.weight.scalar_type(), at::kFloat);
      EXPECT_EQ(model.outer().head.scalar_type(), number);
    }
  }
}

// What generate and eval hold of a file of 16 bits: no fp32 form of it, but fp32 rows.
TEST_P(Halves, OfAReaderGiveWhatTheirFp32FormGives) {
  const at::ScalarType number = activation_type(GetParam().precision);
  for (const char* family : kFamilies) {
    SCOPED_TRACE(family);
    Model wide = model_of(family, "fp32");
    Model reader(wide.config(),
                 {.sequence_len = kSampleLength, .matrices = number, .trains = false});
    EXPECT_FALSE(reader.gradients().defined());
    for (const ParameterSlot& slot : wide.layout().slots()) {
      const at::Tensor exact = view_of(wide.writable_weights(), slot);
      exact.add_(0.01);  // vectors are not where they begin
      view_of(reader.writable_weights(), slot).copy_(exact);
      exact.copy_(view_of(reader.weights(), slot));
    }
    const MicroBatch batch = sample_batch(3, 5);
    const double want = wide.forward(batch).item<double>();
    EXPECT_NEAR(reader.forward(batch).item<double>(), want, 1e-6 * want);
    const auto* ids = batch.ids.const_data_ptr<int32_t>();
    EXPECT_TRUE(close(Decoder(reader).feed({ids, 7}), Decoder(wide).feed({ids, 7})));
  }
}

// More weights than are widened at a time.
TEST_P(Halves, AreWidenedPieceByPieceForFp32Rows) {
  const at::Tensor x = numbers({3, 300}, 1), bias = numbers({5'001}, 2);
  const at::Tensor w = numbers({5'001, 300}, 3).to(activation_type(GetParam().precision));
  const at::Tensor want = at::mm(x, w.to(at::kFloat).t());
  EXPECT_TRUE(close(product(x, w.t()), want));
  EXPECT_TRUE(close(Linear({w, {}}, {}).forward(x), want));
  EXPECT_TRUE(close(Linear({w, bias}, {}).forward(x), want + bias));
  at::Tensor out = at::empty({3, 5'001});
  product_into(out, x, w.t());
  EXPECT_TRUE(close(out, want));
}

// 8 and 11 bits of mantissa.
INSTANTIATE_TEST_SUITE_P(Precisions,
                         Halves,
                         ::testing::Values(Near{"bf16", 1e-2, 5e-2}, Near{"fp16", 2e-3, 8e-3}),
                         [](const auto& c) { return std::string(c.param.precision); });

TEST(LossScale, KeepsSmallGradientsThatFp16WouldLose) {
  constexpr double kSmall = 1e-5;  // of a loss: gradients reach below 6e-8, the smallest fp16
  Model exact = model_of("llama", "fp32"), plain = model_of("llama", "fp16");
  Model scaled = model_of("llama", "fp16");
  const at::Tensor want = pass_of(exact, false, kSmall).gradients;
  const at::Tensor lost = pass_of(plain, false, kSmall).gradients;
  const at::Tensor kept = pass_of(scaled, false, kSmall * LossScale::kFirst).gradients;
  EXPECT_GT(difference(lost, want), 0.1);
  EXPECT_LE(difference(kept / LossScale::kFirst, want), 8e-3);
}

TEST(LossScale, HalvesDownToOneAndDoublesAfterGoodSteps) {
  LossScale scale("fp16");
  EXPECT_EQ(scale.value, LossScale::kFirst);
  EXPECT_TRUE(scale.step_was_not_finite());
  EXPECT_EQ(scale.value, LossScale::kFirst / 2);
  for (int i = 0; i < LossScale::kGoodSteps; ++i) scale.step_was_good();
  EXPECT_EQ(scale.value, LossScale::kFirst);
  while (scale.value > 1) EXPECT_TRUE(scale.step_was_not_finite());
  EXPECT_FALSE(scale.step_was_not_finite()) << "no smaller one mends it";

  LossScale none("bf16");
  none.step_was_good();
  EXPECT_EQ(none.value, 1);
  EXPECT_FALSE(none.step_was_not_finite());
}

}  // namespace
}  // namespace llmctl
