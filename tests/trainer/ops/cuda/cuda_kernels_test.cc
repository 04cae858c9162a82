// The bodies of our own kernels, run on the CPU by one lane, against the reference forms. What many
// lanes make of them is in gpu_test.cc.
#include <gtest/gtest.h>

#include "tests/trainer/close.h"
#include "tests/trainer/sample_model.h"
#include "trainer/ops/cuda/operators.h"
#include "trainer/ops/reference/operators.h"

namespace llmctl {
namespace {

struct Number {
  at::ScalarType type;
  double close;  // relative: ATen rounds between operators, these once
};
void PrintTo(const Number& n, std::ostream* out) {
  *out << n.type;
}

class CudaKernels : public ::testing::TestWithParam<Number> {
 protected:
  at::Tensor made(at::IntArrayRef shape, double seed) const {
    return numbers(shape, seed).to(GetParam().type);
  }
  ::testing::AssertionResult close(const at::Tensor& got, const at::Tensor& want) const {
    return llmctl::close(got, want, GetParam().close);
  }
};

// More rows than parts of the sum over rows, too.
TEST_P(CudaKernels, NormARowAndItsGradientAsTheReferenceDoes) {
  for (const int64_t rows : {1, 37, 1'300}) {
    const at::Tensor x = made({rows, 40}, 1), delta = made({rows, 40}, 7), w = numbers({40}, 2);
    at::Tensor got_x = x.clone(), want_x = x.clone();
    const Normed got = cuda::rms_norm.forward(got_x, delta, w, 1e-5);
    const Normed want = reference::rms_norm.forward(want_x, delta, w, 1e-5);
    EXPECT_TRUE(at::equal(got_x, want_x));
    EXPECT_TRUE(close(got.y, want.y));
    EXPECT_TRUE(close(got.statistics, want.statistics.view(-1)));
    EXPECT_TRUE(close(cuda::rms_norm.forward(want_x, {}, w, 1e-5).y, want.y));
    // Here the compiler may order the factors of the two otherwise; a GPU's multiplies as written.
    EXPECT_TRUE(close(cuda::rms_norm.recompute(got_x, got.statistics, w), got.y));

    const at::Tensor dy = made({rows, 40}, 3);
    at::Tensor dx = made({rows, 40}, 4), dw = numbers({40}, 5);
    at::Tensor want_dx = dx.clone(), want_dw = dw.clone();
    cuda::rms_norm.backward(dy, got_x, got.statistics, w, dx, dw);
    reference::rms_norm.backward(dy, got_x, got.statistics, w, want_dx, want_dw);
    EXPECT_TRUE(close(dx, want_dx));
    EXPECT_TRUE(close(dw, want_dw));
  }
}

TEST_P(CudaKernels, ActivateAndGoBackInPlaceAsTheReferenceDoes) {
  const at::Tensor da = made({37, 24}, 2);
  for (const MlpActivation kind :
       {MlpActivation::swiglu, MlpActivation::geglu, MlpActivation::geglu_erf, MlpActivation::gelu,
        MlpActivation::gelu_erf}) {
    at::Tensor got = made({37, is_gated(kind) ? 48 : 24}, 1).mul_(6), want = got.clone();
    EXPECT_TRUE(
        close(cuda::activation.forward(kind, got), reference::activation.forward(kind, want)));
    cuda::activation.backward(kind, got, da);
    reference::activation.backward(kind, want, da);
    EXPECT_TRUE(close(got, want));
  }
}

TEST_P(CudaKernels, TurnHeadsThereAndBackAsTheReferenceDoes) {
  for (const AttentionShape& s :
       {AttentionShape{7, 4, 4, 8}, AttentionShape{12, 6, 2, 10}, AttentionShape{1, 2, 1, 64}}) {
    const int64_t dim = s.head_dim == 10 ? 6 : s.head_dim;  // one that turns in part
    const RotaryTable table = rotary_table(2 * s.sequence, dim, 10'000, at::kCPU);
    at::Tensor got = made({3 * s.sequence, s.row()}, 1), want = got.clone();
    cuda::rotary.forward(got, s, table, s.sequence);
    reference::rotary.forward(want, s, table, s.sequence);
    EXPECT_TRUE(close(got, want));
    const auto by_token = [&](int64_t heads, double seed) {
      return made({3, s.sequence, heads, s.head_dim}, seed).transpose(1, 2);
    };
    const AttentionGradient grad = {by_token(s.heads, 1), by_token(s.kv_heads, 2).contiguous(),
                                    by_token(s.kv_heads, 3)};
    cuda::rotary.backward(grad, s, table, got);
    reference::rotary.backward(grad, s, table, want);
    EXPECT_TRUE(close(got, want));
  }
}

INSTANTIATE_TEST_SUITE_P(Numbers,
                         CudaKernels,
                         ::testing::Values(Number{at::kFloat, 1e-5},
                                           Number{at::kBFloat16, 1e-2},
                                           Number{at::kHalf, 2e-3}),
                         [](const auto& n) { return std::string(toString(n.param.type)); });

TEST(CudaLoss, EqualsTheReferenceWithMaskedRowsAndWithoutAGradient) {
  const at::Tensor logits = numbers({30, 77}, 1).mul_(9);
  const at::Tensor labels = at::arange(30, at::kInt).mul_(13).remainder_(77);
  labels.index_fill_(0, at::arange(0, 30, 4, at::kLong), -1);
  for (const at::Tensor& scale : {at::Tensor(), at::scalar_tensor(0.03)}) {
    at::Tensor got = logits.clone(), want = logits.clone();
    at::Tensor total = at::ones({}, at::kDouble), want_total = total.clone();
    cuda::cross_entropy.forward(got, labels, scale, total);
    reference::cross_entropy.forward(want, labels, scale, want_total);
    EXPECT_NEAR(total.item<double>(), want_total.item<double>(), kClose);
    EXPECT_TRUE(scale.defined() ? close(got, want, kClose) : at::equal(got, logits));
  }
}

TEST(CudaLoss, StaysFiniteForALabelOfNoProbability) {
  at::Tensor logits = at::zeros({1, 3}), total = at::zeros({}, at::kDouble);
  logits[0][0] = 500;
  cuda::cross_entropy.forward(logits, at::ones({1}, at::kInt), at::ones({}), total);
  EXPECT_NEAR(total.item<double>(), 500, 1e-3);
  EXPECT_NEAR(logits[0][1].item<double>(), -1, 1e-6);
}

}  // namespace
}  // namespace llmctl
