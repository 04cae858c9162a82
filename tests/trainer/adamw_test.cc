#include "trainer/adamw.h"

#include <ATen/ops/_fused_adamw.h>
#include <gtest/gtest.h>

#include <limits>

#include "trainer/gradient_norm.h"

namespace llmctl {
namespace {

constexpr int64_t kElements = 200'000, kDecayEnd = 150'003;

at::Tensor some_numbers(int64_t elements, double seed) {
  return at::arange(elements, at::kDouble).add_(seed).mul_(12.9898).sin_().to(at::kFloat);
}

TEST(AdamW, EqualsPyTorchsOverAHundredSteps) {
  AdamW optimizer(kElements, kDecayEnd);
  at::Tensor weights = some_numbers(kElements, 1), gradients = at::empty({kElements});
  const std::vector<at::Tensor> decayed = {weights.narrow(0, 0, kDecayEnd).clone()};
  const std::vector<at::Tensor> plain = {
      weights.narrow(0, kDecayEnd, kElements - kDecayEnd).clone()};
  std::vector<at::Tensor> m1 = {at::zeros_like(decayed[0])}, v1 = {at::zeros_like(decayed[0])},
                          m2 = {at::zeros_like(plain[0])}, v2 = {at::zeros_like(plain[0])}, none,
                          count = {at::zeros({1})};
  for (int step = 1; step <= 100; ++step) {
    const at::Tensor g = some_numbers(kElements, step * 31.0).mul_(0.1);
    count[0].fill_(step);
    at::_fused_adamw_(decayed, {g.narrow(0, 0, kDecayEnd).clone()}, m1, v1, none, count, 1e-3, 0.9,
                      0.95, 0.1, 1e-8, false, false);
    at::_fused_adamw_(plain, {g.narrow(0, kDecayEnd, kElements - kDecayEnd).clone()}, m2, v2, none,
                      count, 1e-3, 0.9, 0.95, 0.0, 1e-8, false, false);
    gradients.copy_(g).mul_(4);  // a clip of 1/4 takes this back
    optimizer.update(weights, gradients, {1e-3, 0.9, 0.95, 1e-8, 0.1, 0.25});
  }
  const at::Tensor want = at::cat({decayed[0], plain[0]});
  EXPECT_LE((weights - want).abs().max().item<double>(), 2e-6);
  EXPECT_LE((optimizer.second_moment() - at::cat({v1[0], v2[0]})).abs().max().item<double>(), 1e-6);
}

TEST(AdamW, ClearsTheGradientItUsed) {
  AdamW optimizer(kElements, kDecayEnd);
  at::Tensor weights = some_numbers(kElements, 1), gradients = some_numbers(kElements, 2);
  optimizer.update(weights, gradients, {.learning_rate = 1e-3});
  EXPECT_EQ(gradients.count_nonzero().item<int64_t>(), 0);
  EXPECT_EQ(optimizer.updates(), 1);
}

TEST(GradientNorm, IsThatOfAllElementsAndShowsTheOneThatIsNotFinite) {
  at::Tensor gradients = some_numbers(kElements, 3);
  const double norm = gradient_norm(gradients);
  EXPECT_NEAR(norm, gradients.to(at::kDouble).norm().item<double>(), 1e-9 * norm);
  gradients[kElements - 1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(gradient_norm(gradients)));
  gradients[kElements - 1] = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isinf(gradient_norm(gradients)));
}

TEST(Clipping, ScalesOnlyGradientsAboveTheLimit) {
  EXPECT_EQ(clip_scale(0.5, 1.0), 1.0);
  EXPECT_NEAR(clip_scale(4.0, 1.0), 0.25, 1e-6);
  EXPECT_EQ(clip_scale(1e9, 0), 1.0);
}

}  // namespace
}  // namespace llmctl
