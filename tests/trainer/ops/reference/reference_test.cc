// The reference form of every operator, run on the CPU, against the fused loops. (That the model
// made of the fused loops equals autograd is in model_test.cc.)

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/fields/field_table.h"
#include "tests/trainer/close.h"
#include "tests/trainer/sample_model.h"
#include "trainer/ops/cpu/operators.h"
#include "trainer/ops/loss.h"
#include "trainer/ops/reference/operators.h"

namespace llmctl {
namespace {

struct Width {
  int64_t rows, hidden;
};
class ReferenceRows : public ::testing::TestWithParam<Width> {};

TEST_P(ReferenceRows, RmsNormEqualsTheFusedLoops) {
  const auto [rows, hidden] = GetParam();
  const at::Tensor x = numbers({rows, hidden}, 1), w = numbers({hidden}, 2);
  const Normed got = reference::rms_norm.forward(x, {}, w, 1e-5),
               want = cpu::rms_norm.forward(x, {}, w, 1e-5);
  EXPECT_TRUE(close(got.y, want.y));
  EXPECT_EQ(got.statistics.sizes(), want.statistics.sizes());
  EXPECT_TRUE(close(got.statistics, want.statistics));
  EXPECT_TRUE(close(reference::rms_norm.recompute(x, got.statistics, w), want.y));

  const at::Tensor dy = numbers({rows, hidden}, 3);
  at::Tensor dx = numbers({rows, hidden}, 4), dw = numbers({hidden}, 5);
  at::Tensor want_dx = dx.clone(), want_dw = dw.clone();
  reference::rms_norm.backward(dy, x, got.statistics, w, dx, dw);
  cpu::rms_norm.backward(dy, x, want.statistics, w, want_dx, want_dw);
  EXPECT_TRUE(close(dx, want_dx));
  EXPECT_TRUE(close(dw, want_dw));
}

TEST_P(ReferenceRows, GradientOfRmsNormEqualsAutograd) {
  const auto [rows, hidden] = GetParam();
  at::Tensor x = numbers({rows, hidden}, 1).to(at::kDouble).set_requires_grad(true);
  at::Tensor w = numbers({hidden}, 2).to(at::kDouble).set_requires_grad(true);
  const at::Tensor dy = numbers({rows, hidden}, 3);
  (x * (x.pow(2).mean(-1, true) + 1e-5).rsqrt() * w).backward(dy.to(at::kDouble));
  const at::Tensor x32 = numbers({rows, hidden}, 1), w32 = numbers({hidden}, 2);
  at::Tensor dx = at::zeros({rows, hidden}), dw = at::zeros({hidden});
  reference::rms_norm.backward(dy, x32, reference::rms_norm.forward(x32, {}, w32, 1e-5).statistics,
                               w32, dx, dw);
  EXPECT_TRUE(close(dx, x.grad()));
  EXPECT_TRUE(close(dw, w.grad()));
}

TEST_P(ReferenceRows, LayerNormEqualsTheFusedLoops) {
  const auto [rows, hidden] = GetParam();
  const at::Tensor x = numbers({rows, hidden}, 1);
  const NormTensors w = {numbers({hidden}, 2), numbers({hidden}, 6)};
  const Normed got = reference::layer_norm.forward(x, {}, w, 1e-5),
               want = cpu::layer_norm.forward(x, {}, w, 1e-5);
  EXPECT_TRUE(close(got.y, want.y));
  EXPECT_EQ(got.statistics.sizes(), want.statistics.sizes());
  EXPECT_TRUE(close(got.statistics, want.statistics));
  EXPECT_TRUE(close(cpu::layer_norm.recompute(x, want.statistics, w), want.y));
  EXPECT_TRUE(close(reference::layer_norm.recompute(x, got.statistics, w), want.y));

  const at::Tensor dy = numbers({rows, hidden}, 3);
  at::Tensor dx = numbers({rows, hidden}, 4), want_dx = dx.clone();
  NormTensors dw = {numbers({hidden}, 5), numbers({hidden}, 7)},
              want_dw = {dw.weight.clone(), dw.bias.clone()};
  reference::layer_norm.backward(dy, x, got.statistics, w.weight, dx, dw);
  cpu::layer_norm.backward(dy, x, want.statistics, w.weight, want_dx, want_dw);
  EXPECT_TRUE(close(dx, want_dx));
  EXPECT_TRUE(close(dw.weight, want_dw.weight));
  EXPECT_TRUE(close(dw.bias, want_dw.bias));
}

TEST_P(ReferenceRows, ActivationsEqualTheFusedLoops) {
  const auto [rows, hidden] = GetParam();
  const at::Tensor da = numbers({rows, hidden}, 2);
  for (const MlpActivation kind :
       {MlpActivation::swiglu, MlpActivation::geglu, MlpActivation::geglu_erf, MlpActivation::gelu,
        MlpActivation::gelu_erf}) {
    const int64_t width = is_gated(kind) ? 2 * hidden : hidden;
    at::Tensor got = numbers({rows, width}, 1).mul_(6), want = got.clone();
    EXPECT_TRUE(
        close(reference::activation.forward(kind, got), cpu::activation.forward(kind, want)));
    reference::activation.backward(kind, got, da);
    cpu::activation.backward(kind, want, da);
    EXPECT_TRUE(close(got, want));
  }
}

INSTANTIATE_TEST_SUITE_P(Widths,
                         ReferenceRows,
                         ::testing::Values(Width{1, 8}, Width{37, 48}, Width{64, 1'000}),
                         [](const auto& p) { return std::to_string(p.param.hidden) + "_wide"; });

class ReferenceRotary : public ::testing::TestWithParam<AttentionShape> {};

TEST_P(ReferenceRotary, EqualsTheFusedLoopsAtEveryFirstPosition) {
  const AttentionShape& s = GetParam();
  for (const int64_t dim : {s.head_dim, s.head_dim / 4 * 2}) {
    const RotaryTable table = rotary_table(2 * s.sequence, dim, 10'000, at::kCPU);
    for (const int64_t first : {int64_t{0}, s.sequence}) {
      at::Tensor got = numbers({3 * s.sequence, s.row()}, 1), want = got.clone();
      reference::rotary.forward(got, s, table, first);
      cpu::rotary.forward(want, s, table, first);
      EXPECT_TRUE(close(got, want)) << "from position " << first;
    }
  }
}

TEST_P(ReferenceRotary, GradientsOfAnyStrideAreTurnedBackIntoRows) {
  const AttentionShape& s = GetParam();
  const auto by_token = [&](int64_t heads, double seed) {  // [B, heads, S, D] over [B, S, heads, D]
    return numbers({3, s.sequence, heads, s.head_dim}, seed).transpose(1, 2);
  };
  const AttentionGradient grad = {by_token(s.heads, 1), by_token(s.kv_heads, 2).contiguous(),
                                  by_token(s.kv_heads, 3)};
  for (const int64_t dim : {s.head_dim, s.head_dim / 4 * 2}) {
    const RotaryTable table = rotary_table(s.sequence, dim, 10'000, at::kCPU);
    at::Tensor got = at::empty({3 * s.sequence, s.row()}), want = at::empty_like(got);
    reference::rotary.backward(grad, s, table, got);
    cpu::rotary.backward(grad, s, table, want);
    EXPECT_TRUE(close(got, want));
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes,
                         ReferenceRotary,
                         ::testing::Values(AttentionShape{7, 4, 4, 8},
                                           AttentionShape{12, 6, 2, 10},
                                           AttentionShape{1, 2, 1, 64}));

TEST(ReferenceEmbedding, EqualsTheFusedLoopsAlsoForRepeatedIds) {
  const MicroBatch batch = sample_batch(9, 2);  // 216 ids of 77
  const at::Tensor table = numbers({77, 40}, 1);
  EXPECT_TRUE(at::equal(reference::embedding.forward(batch.ids, table),
                        cpu::embedding.forward(batch.ids, table)));
  const at::Tensor dx = numbers({batch.ids.size(0), 40}, 2);
  at::Tensor got = numbers({77, 40}, 3), want = got.clone();
  reference::embedding.backward(batch.ids, dx, got);
  cpu::embedding.backward(batch.ids, dx, want);
  EXPECT_TRUE(close(got, want));
}

// cross_entropy has no fused form of its own to call; loss_sum_and_gradient is the fused one.
TEST(ReferenceLoss, EqualsTheFusedHead) {
  const at::Tensor scale = at::scalar_tensor(0.03);
  const MicroBatch batch = sample_batch(2, 3);
  const int64_t rows = batch.labels.size(0);
  const at::Tensor hidden = numbers({rows, 40}, 1).mul_(3), weight = numbers({77, 40}, 2);
  at::Tensor logits = at::mm(hidden, weight.t());
  at::Tensor total = at::zeros({}, at::kDouble), again = at::zeros({}, at::kDouble);
  at::Tensor without_gradient = logits.clone();
  reference::cross_entropy.forward(without_gradient, batch.labels, {}, again);
  reference::cross_entropy.forward(logits, batch.labels, scale, total);

  at::Tensor dhidden = hidden.clone(), dweight = at::zeros({77, 40});
  const double want =
      loss_sum_and_gradient(dhidden, batch.labels, weight, dweight, {.scale = scale})
          .item<double>();
  EXPECT_NEAR(total.item<double>(), want, kClose * want);
  EXPECT_EQ(again.item<double>(), total.item<double>());
  EXPECT_TRUE(close(at::mm(logits, weight), dhidden));
  EXPECT_TRUE(close(at::mm(logits.t(), hidden), dweight));
}

TEST(ReferenceLoss, MaskedRowsAddNothingAsInTheFusedHead) {
  const at::Tensor scale = at::scalar_tensor(0.03);
  const MicroBatch batch = sample_batch(2, 3);
  const int64_t rows = batch.labels.size(0);
  const at::Tensor hidden = numbers({rows, 40}, 1).mul_(3), weight = numbers({77, 40}, 2);
  const at::Tensor even = at::arange(0, rows, 2, at::kLong);
  at::Tensor masked = batch.labels.clone();
  masked.index_fill_(0, even, -1);  // every second row, the first among them

  const at::Tensor odd = at::arange(1, rows, 2, at::kLong);
  at::Tensor kept = hidden.index_select(0, odd), dkept = at::zeros({77, 40});
  const double want = loss_sum_and_gradient(kept, batch.labels.index_select(0, odd), weight, dkept,
                                            {.scale = scale})
                          .item<double>();
  at::Tensor dhidden = hidden.clone(), dweight = at::zeros({77, 40});
  EXPECT_NEAR(
      loss_sum_and_gradient(dhidden, masked, weight, dweight, {.scale = scale}).item<double>(),
      want, kClose * want);
  EXPECT_NEAR(loss_sum(hidden, masked, weight).item<double>(), want, kClose * want);
  EXPECT_EQ(dhidden.index_select(0, even).abs().sum().item<float>(), 0);
  EXPECT_TRUE(close(dhidden.index_select(0, odd), kept));
  EXPECT_TRUE(close(dweight, dkept));

  at::Tensor logits = at::mm(hidden, weight.t()), total = at::zeros({}, at::kDouble);
  reference::cross_entropy.forward(logits, masked, scale, total);
  EXPECT_NEAR(total.item<double>(), want, kClose * want);
  EXPECT_EQ(logits.index_select(0, even).abs().sum().item<float>(), 0);
  EXPECT_TRUE(close(at::mm(logits.t(), hidden), dweight));
}

TEST(ReferenceLoss, StaysFiniteForALabelOfNoProbability) {
  at::Tensor logits = at::zeros({1, 3}), total = at::zeros({}, at::kDouble);
  logits[0][0] = 500;
  reference::cross_entropy.forward(logits, at::ones({1}, at::kInt), at::ones({}), total);
  EXPECT_NEAR(total.item<double>(), 500, 1e-3);
  EXPECT_NEAR(logits[0][1].item<double>(), -1, 1e-6);
}

// The meta device has shapes but no memory: whoever reads a pointer fails.
TEST(AnyDevice, RunsAWholePassWithoutTouchingHostMemory) {
  for (const std::string_view family : words(architectures())) {
    ModelConfig config = sample_config();
    if (family == "gpt2") config.num_key_value_heads = config.num_attention_heads;
    set_family(config, family);
    for (const bool packed : {false, true}) {
      Model model(config, {.sequence_len = kSampleLength,
                           .attention = packed ? AttentionKind::flash : AttentionKind::sdpa,
                           .checkpointing = packed ? Checkpointing::block : Checkpointing::none,
                           .device = at::kMeta});
      const MicroBatch host = sample_batch(2, 1);
      MicroBatch batch = {host.ids.to(at::kMeta), host.labels.to(at::kMeta)};
      if (packed) batch.document_starts = {0, 3, kSampleLength};
      EXPECT_TRUE(model.forward_backward(batch, 1.0).is_meta()) << family;
      EXPECT_TRUE(model.forward(batch).is_meta()) << family;
      EXPECT_TRUE(model.gradients().is_meta()) << family;
    }
  }
}

}  // namespace
}  // namespace llmctl
