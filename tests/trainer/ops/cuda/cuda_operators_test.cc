// The bodies of our own kernels, run on the CPU by one lane, against the forms in ATen. What many
// lanes make of them is in gpu_test.cc.
#include "trainer/ops/cuda/cuda_operators.h"

#include <gtest/gtest.h>

#include "tests/trainer/close.h"
#include "tests/trainer/sample_model.h"
#include "trainer/ops/reference/aten.h"
#include "trainer/optim/cuda_updates.h"
#include "trainer/optim/lion.h"
#include "trainer/optim/reference_updates.h"

namespace llmctl {
namespace {

struct Number {
  at::ScalarType type;
  double close;  // relative: ATen rounds between operators, these once
};
void PrintTo(const Number& n, std::ostream* out) {
  *out << n.type;
}

class OwnKernels : public ::testing::TestWithParam<Number> {
 protected:
  at::Tensor made(at::IntArrayRef shape, double seed) const {
    return numbers(shape, seed).to(GetParam().type);
  }
  ::testing::AssertionResult close(const at::Tensor& got, const at::Tensor& want) const {
    return llmctl::close(got, want, GetParam().close);
  }
};

// More rows than parts of the sum over rows, too.
TEST_P(OwnKernels, NormARowAndItsGradientAsAtenDoes) {
  for (const int64_t rows : {1, 37, 1'300}) {
    const at::Tensor x = made({rows, 40}, 1), delta = made({rows, 40}, 7), w = made({40}, 2);
    at::Tensor got_x = x.clone(), want_x = x.clone();
    const Normed got = own::rms_norm(got_x, delta, w, 1e-5);
    const Normed want = aten::rms_norm(want_x.add_(delta), w, 1e-5);
    EXPECT_TRUE(at::equal(got_x, want_x));
    EXPECT_TRUE(close(got.y, want.y));
    EXPECT_TRUE(close(got.statistics, want.statistics.view(-1)));
    EXPECT_TRUE(close(own::rms_norm(want_x, {}, w, 1e-5).y, want.y));
    // Here the compiler may order the factors of the two otherwise; a GPU's multiplies as written.
    EXPECT_TRUE(close(own::rms_norm_again(got_x, got.statistics, w), got.y));

    const at::Tensor dy = made({rows, 40}, 3);
    at::Tensor dx = made({rows, 40}, 4), dw = numbers({40}, 5);
    at::Tensor want_dx = dx.clone(), want_dw = dw.clone();
    own::rms_norm_backward(dy, got_x, got.statistics, w, dx, dw);
    aten::rms_norm_backward(dy, got_x, got.statistics, w, want_dx, want_dw);
    EXPECT_TRUE(close(dx, want_dx));
    EXPECT_TRUE(close(dw, want_dw));
  }
}

TEST_P(OwnKernels, ActivateAndGoBackInPlaceAsAtenDoes) {
  const at::Tensor da = made({37, 24}, 2);
  for (const MlpActivation kind :
       {MlpActivation::swiglu, MlpActivation::geglu, MlpActivation::geglu_erf, MlpActivation::gelu,
        MlpActivation::gelu_erf}) {
    const bool gated = is_gated(kind);
    const GeluFormula formula = formula_of(kind);
    at::Tensor got = made({37, gated ? 48 : 24}, 1).mul_(6), want = got.clone();
    if (kind == MlpActivation::swiglu) {
      EXPECT_TRUE(close(own::activate(kind, got), aten::swiglu(want)));
      aten::swiglu_backward(want, da);
    } else if (gated) {
      EXPECT_TRUE(close(own::activate(kind, got), aten::geglu(want, formula)));
      aten::geglu_backward(want, da, formula);
    } else {
      EXPECT_TRUE(close(own::activate(kind, got), aten::gelu(want, formula)));
      aten::gelu_backward(want, da, formula);
    }
    own::activate_backward(kind, got, da);
    EXPECT_TRUE(close(got, want));
  }
}

TEST_P(OwnKernels, TurnHeadsThereAndBackAsAtenDoes) {
  for (const AttentionShape& s :
       {AttentionShape{7, 4, 4, 8}, AttentionShape{12, 6, 2, 10}, AttentionShape{1, 2, 1, 64}}) {
    const int64_t dim = s.head_dim == 10 ? 6 : s.head_dim;  // one that turns in part
    const RotaryTable table = rotary_table(2 * s.sequence, dim, 10'000, at::kCPU);
    at::Tensor got = made({3 * s.sequence, s.row()}, 1), want = got.clone();
    own::rotate(got, s, table, s.sequence);
    aten::rotate(want, s, table, s.sequence);
    EXPECT_TRUE(close(got, want));
    const auto by_token = [&](int64_t heads, double seed) {
      return made({3, s.sequence, heads, s.head_dim}, seed).transpose(1, 2);
    };
    const AttentionGradient grad = {by_token(s.heads, 1), by_token(s.kv_heads, 2).contiguous(),
                                    by_token(s.kv_heads, 3)};
    own::rotate_back(grad, s, table, got);
    aten::rotate_back(grad, s, table, want);
    EXPECT_TRUE(close(got, want));
  }
}

INSTANTIATE_TEST_SUITE_P(Numbers,
                         OwnKernels,
                         ::testing::Values(Number{at::kFloat, 1e-5},
                                           Number{at::kBFloat16, 1e-2},
                                           Number{at::kHalf, 2e-3}),
                         [](const auto& n) { return std::string(toString(n.param.type)); });

TEST(OwnLoss, EqualsAtensWithMaskedRowsAndWithoutAGradient) {
  const at::Tensor logits = numbers({30, 77}, 1).mul_(9);
  const at::Tensor labels = at::arange(30, at::kInt).mul_(13).remainder_(77);
  labels.index_fill_(0, at::arange(0, 30, 4, at::kLong), -1);
  for (const std::optional<double> scale : {std::optional<double>(), std::optional(0.03)}) {
    at::Tensor got = logits.clone(), want = logits.clone();
    at::Tensor total = at::ones({}, at::kDouble), want_total = total.clone();
    own::cross_entropy(got, labels, scale, total);
    aten::cross_entropy(want, labels, scale, want_total);
    EXPECT_NEAR(total.item<double>(), want_total.item<double>(), kClose);
    EXPECT_TRUE(scale ? close(got, want, kClose) : at::equal(got, logits));
  }
}

TEST(OwnLoss, StaysFiniteForALabelOfNoProbability) {
  at::Tensor logits = at::zeros({1, 3}), total = at::zeros({}, at::kDouble);
  logits[0][0] = 500;
  own::cross_entropy(logits, at::ones({1}, at::kInt), 1.0, total);
  EXPECT_NEAR(total.item<double>(), 500, 1e-3);
  EXPECT_NEAR(logits[0][1].item<double>(), -1, 1e-6);
}

constexpr int64_t kUpdated = 3'000, kDecayed = 1'999;
constexpr OptimizerStep kClippedStep = {1e-2, 0.9, 0.95, 1e-8, 0.1, 0.25};

TEST(OwnUpdates, OfAdamWEqualAtensWithMomentsOfEitherType) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    at::Tensor got = numbers({kUpdated}, 1), want = got.clone();
    at::Tensor first = at::zeros({kUpdated}, type), second = at::zeros_like(first);
    at::Tensor want_first = first.clone(), want_second = second.clone();
    for (int update = 1; update <= 20; ++update) {
      at::Tensor g = numbers({kUpdated}, 31.0 * update), want_g = g.clone();
      own::adamw(got, g, {first, second},
                 {kDecayed, adamw_factors(kClippedStep, update, true),
                  adamw_factors(kClippedStep, update, false)});
      aten::adamw(want, want_g, {want_first, want_second}, kDecayed, update, kClippedStep);
      EXPECT_EQ(g.count_nonzero().item<int64_t>(), 0);
    }
    const double most = type == at::kFloat ? 1e-5 : 1e-3;
    EXPECT_TRUE(close(got, want, most));
    EXPECT_TRUE(close(first, want_first, 10 * most));
    EXPECT_TRUE(close(second, want_second, 10 * most));
  }
}

TEST(OwnUpdates, OfLionEqualAtens) {
  at::Tensor got = numbers({kUpdated}, 1), want = got.clone();
  at::Tensor moment = at::zeros({kUpdated}), want_moment = moment.clone();
  const LionFactors decayed = lion_factors(kClippedStep, true),
                    plain = lion_factors(kClippedStep, false);
  for (int update = 1; update <= 20; ++update) {
    at::Tensor g = numbers({kUpdated}, 31.0 * update), want_g = g.clone();
    own::lion(got, g, moment, {kDecayed, decayed, plain});
    aten::lion(want, want_g, want_moment, kDecayed, kClippedStep);
    EXPECT_EQ(g.count_nonzero().item<int64_t>(), 0);
  }
  EXPECT_TRUE(close(got, want, 1e-3));  // signs near zero
  EXPECT_TRUE(close(moment, want_moment, 1e-5));
}

}  // namespace
}  // namespace llmctl
